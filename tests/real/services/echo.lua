-- The smallest service worth measuring. Start: echo [NAME ...]
--   ECHO ...      answers the values
--   COUNT i       one way; RESULT -> count, in_order, last; RESET
-- probe.lua answers these as well, and much more.

local skynet = require "skynet"
pcall(require, "skynet.manager")

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

skynet.start(function()
    skynet.dispatch("lua", function(_, _, cmd, ...)
        command[cmd](...)
    end)
    for _, name in ipairs(names) do
        skynet.register(name)
    end
    if #names > 0 then
        log(string.format(
            "echo ready :%08x %s", skynet.self(), table.concat(names, " ")))
    end
end)
