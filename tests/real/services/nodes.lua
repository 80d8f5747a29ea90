-- Takes node tables, "@nodes" to other nodes. docs/discovery.md shows it.

local skynet = require "skynet"
local cluster = require "skynet.cluster"

skynet.start(function()
    skynet.dispatch("lua", function(_, _, command, nodes)
        assert(command == "RELOAD")
        cluster.reload(nodes)
        skynet.ret(skynet.pack())
    end)
end)
