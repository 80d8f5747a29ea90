-- A shop in a Lua node of a cluster, for `make demo-cluster`. It asks the rates, which a
-- Python node has, through a proxy: a service of this node that stands for that actor.

local skynet = require "skynet"
local cluster = require "skynet.cluster"

local gold = { sword = 10, shield = 25 }
local rates
local command = {}

function command.PRICE(item, currency)
    if not gold[item] then
        error("nobody sells a " .. item)
    end
    -- Made here: it waits until the node table has the node.
    rates = rates or cluster.proxy("rates", "@rates")
    return skynet.call(rates, "lua", "WORTH", gold[item], currency)
end

-- Read the node table again.
function command.RELOAD()
    cluster.reload()
    return "ok"
end

skynet.start(function()
    skynet.dispatch("lua", function(session, _, name, ...)
        if session == 0 then
            command[name](...)
        else
            skynet.ret(skynet.pack(command[name](...)))
        end
    end)
    cluster.register "shop"
    cluster.open "shop"
    skynet.error "the shop is open"
end)
