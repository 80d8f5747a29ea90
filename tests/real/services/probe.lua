-- A service that does, on request, whatever a Skynet service can do.
--
-- Start:  probe [NAME ...]     registers the names, then logs "probe ready"
-- Driven: "lua" messages ("COMMAND", ...). A call is answered with the values
--         that the command returns; a one-way message is not answered.
--         "text" messages are answered with the same text.

local skynet = require "skynet"
pcall(require, "skynet.manager")    -- the tree of 2013 has these in skynet

local names = { ... }
local log = skynet.error or function(...)    -- the tree of 2013 has no log
    print(...)
    io.stdout:flush()
end
local command = {}
local blocked = {}      -- one coroutine for each HANG
local fates = {}        -- dest -> "linked", "gone"
local texts = 0
local sources           -- handle of a sender -> what it counted up to
local total, newest     -- of all senders

local function reset()
    sources, total, newest = {}, 0, 0
end

---- values

function command.ECHO(...)
    return ...
end

function command.SLEEP(cs, ...)
    skynet.sleep(cs)
    return ...
end

-- n bytes of a pattern, so that a lost or doubled byte shows.
function command.BLOB(n)
    local unit = "0123456789abcdef"
    return unit:rep(math.floor(n / #unit) + 1):sub(1, n)
end

function command.LEN(s)
    return #s
end

function command.ERROR(text)
    error(text or "probe was told to fail")
end

-- Never answers; UNHANG lets all that hang answer.
function command.HANG()
    local co = coroutine.running()
    blocked[co] = true
    while blocked[co] do
        skynet.sleep(1000000)
    end
    return "released"
end

function command.UNHANG()
    local n = 0
    for co in pairs(blocked) do
        blocked[co] = nil
        skynet.wakeup(co)
        n = n + 1
    end
    return n
end

---- numbered messages

-- COUNT i [padding]: each sender numbers its own from 1.
local function count(source, i)
    local stat = sources[source]
    if not stat then
        stat = { count = 0, in_order = true, last = 0 }
        sources[source] = stat
    end
    stat.count = stat.count + 1
    stat.in_order = stat.in_order and i == stat.last + 1
    stat.last = i
    total, newest = total + 1, i
end

-- RESULT [source] -> count, in_order, last. Without a source the count is of all
-- senders, and in_order says whether each of them was in order.
function command.RESULT(source)
    if source then
        local stat = sources[source] or { count = 0, in_order = true, last = 0 }
        return stat.count, stat.in_order, stat.last
    end
    local in_order = true
    for _, stat in pairs(sources) do
        in_order = in_order and stat.in_order
    end
    return total, in_order, newest
end

command.RESET = reset

-- FLOOD dest n [size [first]]: n one-way messages ("COUNT", i [, size bytes]),
-- i from first (1).
function command.FLOOD(dest, n, size, first)
    local padding = size and command.BLOB(size)
    first = first or 1
    for i = first, first + n - 1 do
        if padding then
            skynet.send(dest, "lua", "COUNT", i, padding)
        else
            skynet.send(dest, "lua", "COUNT", i)
        end
    end
    return n
end

---- messages to others

-- CALL dest ... -> true, results... | false, error
function command.CALL(dest, ...)
    return pcall(skynet.call, dest, "lua", ...)
end

-- The same with another message type: CALLAS "debug" dest "PING"
function command.CALLAS(ptype, dest, ...)
    return pcall(skynet.call, dest, ptype, ...)
end

-- CALLIN cs dest ...: as CALL, or "timeout" when no answer came in time.
function command.CALLIN(cs, dest, ...)
    local co = coroutine.running()
    local args = table.pack(...)
    local result
    skynet.fork(function()
        result = table.pack(
            pcall(skynet.call, dest, "lua", table.unpack(args, 1, args.n)))
        skynet.wakeup(co)
    end)
    skynet.sleep(cs)
    if not result then
        return "timeout"
    end
    return table.unpack(result, 1, result.n)
end

function command.SEND(dest, ...)
    skynet.send(dest, "lua", ...)
    return true
end

function command.SENDAS(ptype, dest, ...)
    skynet.send(dest, ptype, ...)
    return true
end

-- WATCH dest, then FATE dest -> "linked", and "gone" once the service or its
-- node answers the link with an error. A killed service does not.
function command.WATCH(dest)
    fates[dest] = "linked"
    skynet.fork(function()
        pcall(skynet.call, dest, "debug", "LINK")
        fates[dest] = "gone"
    end)
    return true
end

function command.FATE(dest)
    return fates[dest]
end

---- names, harbors, cluster

function command.REGISTER(name)
    skynet.register(name)
    return skynet.self()
end

-- QUERY name -> handle. Waits until the name exists.
function command.QUERY(name)
    return require("skynet.harbor").queryname(name)
end

-- HARBOR "link" id, HARBOR "connect" id, HARBOR "linkmaster": return when
-- Skynet's own functions of these names do.
function command.HARBOR(method, ...)
    require("skynet.harbor")[method](...)
    return true
end

-- API module method ... -> true, results... | false, error; any function of Skynet's
-- own modules: API "skynet" "uniqueservice" true "name"
function command.API(module, method, ...)
    return pcall(require(module)[method], ...)
end

-- CLUSTER method ... -> true, results... | false, error; any function of
-- skynet.cluster: reload {name = "host:port"}, open, call, send, register, query
function command.CLUSTER(method, ...)
    return pcall(require("skynet.cluster")[method], ...)
end

-- CLUSTERFLOOD node dest n [size [every]]: n one-way messages ("COUNT", i) by
-- cluster.send; each `every`th has size bytes more.
function command.CLUSTERFLOOD(node, dest, n, size, every)
    local cluster = require "skynet.cluster"
    local padding = size and command.BLOB(size)
    for i = 1, n do
        if padding and i % every == 0 then
            cluster.send(node, dest, "COUNT", i, padding)
        else
            cluster.send(node, dest, "COUNT", i)
        end
    end
    return n
end

-- CLUSTERLEN node dest size -> what dest answers to ("LEN", size bytes)
function command.CLUSTERLEN(node, dest, size)
    return require("skynet.cluster").call(node, dest, "LEN", command.BLOB(size))
end

-- CLUSTERBLOB node dest size -> whether dest answers to ("BLOB", size) as we would
function command.CLUSTERBLOB(node, dest, size)
    local blob = require("skynet.cluster").call(node, dest, "BLOB", size)
    return blob == command.BLOB(size)
end

-- CLUSTERRUN node name n workers -> the numbers of 1..n whose call ("RUN", i) of @name
-- was answered, and how many failed.  So many workers call at a time; one whose call
-- fails goes on once the name is found again.
function command.CLUSTERRUN(node, name, n, workers)
    local cluster = require "skynet.cluster"
    local main, running = coroutine.running(), workers
    local answered, failed, i = {}, 0, 0
    local function work()
        while i < n do
            i = i + 1
            local ok, same = pcall(cluster.call, node, "@" .. name, "RUN", i)
            if ok then
                answered[#answered + 1] = same
            else
                failed = failed + 1
                while not pcall(cluster.query, node, name) do
                    skynet.sleep(1)
                end
            end
        end
        running = running - 1
        if running == 0 then
            skynet.wakeup(main)
        end
    end
    for _ = 1, workers do
        skynet.fork(work)
    end
    skynet.wait(main)
    return answered, failed
end

---- life

function command.SELF()
    return skynet.self()
end

-- KB of this service's Lua, and the text messages it got.
function command.STAT()
    return collectgarbage "count", texts
end

-- NEWSERVICE [service arg ...] -> handle
function command.NEWSERVICE(service, ...)
    return skynet.newservice(service or "probe", ...)
end

function command.KILL(handle)
    skynet.kill(handle)
    return true
end

-- No answer: it is Skynet that tells the caller.
function command.EXIT()
    skynet.exit()
end

-- Ends the whole process.
function command.ABORT()
    skynet.abort()
end

function command.LOG(...)
    log(...)
    return true
end

reset()

local function dispatch(session, source, cmd, ...)
    if cmd == "COUNT" then
        count(source, (...))
        if session ~= 0 then
            skynet.ret(skynet.pack())
        end
        return
    end
    local f = command[cmd]
    if not f then
        error("probe knows no " .. tostring(cmd))
    end
    if session == 0 then
        f(...)
    else
        skynet.ret(skynet.pack(f(...)))
    end
end

-- Current Skynet leaves "text" to the service; the tree of 2013 has it already.
pcall(skynet.register_protocol, {
    name = "text",
    id = 0,
    pack = function(s) return s end,
    unpack = skynet.tostring,
})

skynet.start(function()
    skynet.dispatch("lua", dispatch)
    skynet.dispatch("text", function(session, _, text)
        texts = texts + 1
        if session ~= 0 then
            skynet.ret(text)
        end
    end)
    for _, name in ipairs(names) do
        skynet.register(name)
    end
    log(string.format(
        "probe ready :%08x %s", skynet.self(), table.concat(names, " ")))
end)
