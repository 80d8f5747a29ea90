-- The smallest service worth measuring. Start: echo [NAME ...]
-- @NAME is its name for other nodes of a cluster; the configuration names their node
-- table (cluster) and the entry of it that is opened (cluster_listen).
--   ECHO ...      answers the values
--   COUNT i       one way; RESULT -> count, in_order, last; RESET
--   CPU           answers the CPU seconds of this process
--   REGISTER name answers when the service has the name
--   FLOOD dest s  sends COUNT to dest for s seconds, as fast as dest takes it;
--                 answers how many
-- probe.lua answers the first three as well, and much more.

local skynet = require "skynet"
pcall(require, "skynet.manager")
local cluster = skynet.getenv "cluster" and require "skynet.cluster"

local names = { ... }
local log = skynet.error or function(...)    -- the tree of 2013 has no log
    print(...)
    io.stdout:flush()
end
local count, in_order, last = 0, true, 0
local command = {}

function command.ECHO(...)
    skynet.ret(skynet.pack(...))
end

function command.COUNT(i)
    count = count + 1
    in_order = in_order and i == last + 1
    last = i
end

function command.RESULT()
    skynet.ret(skynet.pack(count, in_order, last))
end

function command.RESET()
    count, in_order, last = 0, true, 0
    skynet.ret(skynet.pack())
end

function command.CPU()
    skynet.ret(skynet.pack(os.clock()))
end

function command.REGISTER(name)
    skynet.register(name)
    skynet.ret(skynet.pack())
end

function command.FLOOD(dest, seconds)
    local stop = skynet.hpc() + seconds * 1e9
    local sent = 0
    while skynet.hpc() < stop do
        for _ = 1, 10 do
            for _ = 1, 1000 do
                sent = sent + 1
                skynet.send(dest, "lua", "COUNT", sent)
            end
            skynet.yield()
        end
        skynet.call(dest, "lua", "RESULT")
    end
    skynet.ret(skynet.pack(sent))
end

skynet.start(function()
    skynet.dispatch("lua", function(_, _, cmd, ...)
        command[cmd](...)
    end)
    for _, name in ipairs(names) do
        local exported = name:match "^@(.+)"
        if exported then
            cluster.register(exported)
        else
            skynet.register(name)
        end
    end
    if #names > 0 then
        if cluster then
            cluster.open(skynet.getenv "cluster_listen")
        end
        log(string.format(
            "echo ready :%08x %s", skynet.self(), table.concat(names, " ")))
    end
end)
