-- Uses a shop (see there) with the calls that the client of Skynet's own example makes.
-- Start: customer H:P          with cluster = a file that has shop, shop2 and
--                              __nowaiting = true; H:P is the address of shop2
--
-- Logs "customer bought" and "customer counted" with what it got.

local skynet = require "skynet"
local cluster = require "skynet.cluster"
local snax = require "skynet.snax"

local second = ...
local KEY, VALUE = ("k"):rep(128 * 1024), ("v"):rep(100 * 1024)

-- In a coroutine of its own, as skynet.trace is for all that a coroutine does.
local function shopping(store)
    return function()
        skynet.trace "customer"
        local a = cluster.call("shop", "@store", "GET", "a")
        local b = cluster.call("shop2", "@store", "GET", "b")
        cluster.send("shop2", "@store", "PING", VALUE)
        -- What waits for shop3 by now goes on; shop is closed, also to the proxy.
        cluster.reload { shop = false, shop3 = second }
        -- It takes a moment: reload does not wait for it.
        while pcall(cluster.call, "shop", "@store", "GET", "a") do
            skynet.yield()
        end
        local proxied = pcall(skynet.call, store, "lua", "GET", "a")
        skynet.error("customer bought", a, b, proxied)
    end
end

skynet.start(function()
    local store = cluster.proxy "shop@store"
    assert(store == cluster.proxy("shop", "@store"))
    assert(skynet.call(store, "lua", "SET", KEY, VALUE) == nil)
    assert(skynet.call(store, "lua", "GET", KEY) == VALUE)
    skynet.send(store, "lua", "PING", "hello")
    cluster.reload { __nowaiting = false }
    skynet.fork(shopping(store))
    local counter = cluster.snax("shop3", "counter")
    counter.post.add(1)
    skynet.error("customer counted", counter.req.get())
end)
