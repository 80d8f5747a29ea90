-- A node for others to use by cluster mode, as the server of Skynet's own example does.
-- Start: shop H:P H:P
--
-- Listens on both addresses, by names of its table. "@store" is a store of values:
-- SET key value -> the value before, GET key -> value, PING text; "a" and "b" have a
-- value from the start. There is a unique snax service "counter", too, with 41.

local skynet = require "skynet"
local cluster = require "skynet.cluster"
local snax = require "skynet.snax"

local first, second = ...
local values = {}
local command = {}

function command.GET(key)
    return values[key]
end

function command.SET(key, value)
    local before = values[key]
    values[key] = value
    return before
end

local function dispatch(session, _, cmd, ...)
    if cmd == "PING" then
        assert(session == 0)
        skynet.error(string.format("shop ping %d bytes", #(...)))
        return
    end
    skynet.ret(skynet.pack(command[cmd](...)))
end

skynet.start(function()
    skynet.dispatch("lua", dispatch)
    cluster.reload { shop = first, shop2 = second }
    cluster.register "other"
    if cluster.unregister then      -- the tree of pyskynet has none
        cluster.unregister "other"
    end
    cluster.register "store"        -- a second name takes the place of the first
    command.SET("a", "apple")
    command.SET("b", "banana")
    snax.uniqueservice("counter", 41)
    cluster.open "shop"
    cluster.open "shop2"
    skynet.error "shop ready"
end)
