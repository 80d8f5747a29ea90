-- Counts the services that end in nodes which made it their monitor.

local skynet = require "skynet"
local ended = 0

skynet.register_protocol {
    name = "client",
    id = skynet.PTYPE_CLIENT,
    unpack = function() end,
    dispatch = function()
        ended = ended + 1
    end,
}

skynet.start(function()
    skynet.dispatch("lua", function()
        skynet.ret(skynet.pack(ended))
    end)
end)
