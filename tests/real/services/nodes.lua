-- Takes node tables. Another node calls RELOAD with one; that is merged into this
-- node's own table, as cluster.reload does it.

local skynet = require "skynet"
local cluster = require "skynet.cluster"

skynet.start(function()
    skynet.dispatch("lua", function(_, _, command, nodes)
        assert(command == "RELOAD")
        cluster.reload(nodes)
        skynet.ret(skynet.pack())
    end)
end)
