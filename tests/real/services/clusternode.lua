-- A node that others reach by Skynet's cluster mode.
--
-- Start: clusternode [H:P [service [arg ...]]]
--
-- Starts a probe, "@probe" to other nodes and ".probe" in this one, and the service,
-- which is "@service" to others; then listens on H:P (127.0.0.1:0: the system chooses
-- the port) and logs
--
--   clusternode ready H:P probe :HANDLE
--
-- Tests need no port beforehand: they read it there.

local skynet = require "skynet"
local cluster = require "skynet.cluster"
local driver = require "skynet.socketdriver"
require "skynet.manager"

local args = { ... }
local address = args[1] or "127.0.0.1:0"

-- pyskynet's tree does not tell what it bound, so look at the sockets themselves.
-- They are another thread's, which may still be at it.
local function bound()
    while true do
        for _, socket in ipairs(driver.info()) do
            if socket.type == "LISTEN" then
                return socket.sock
            end
        end
        skynet.sleep(1)
    end
end

skynet.start(function()
    local probe = skynet.newservice "probe"
    skynet.name(".probe", probe)
    cluster.register("probe", probe)
    if args[2] then
        cluster.register(args[2], skynet.newservice(table.unpack(args, 2)))
    end
    cluster.reload { clusternode = address }
    cluster.open "clusternode"
    skynet.error(string.format("clusternode ready %s probe :%08x", bound(), probe))
end)
