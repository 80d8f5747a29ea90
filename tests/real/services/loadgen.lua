-- Measures, and prints one line of JSON for each job. Start:
--
--   loadgen JOB[:key=value,...] ... [quit]
--
--   calls:dest=ECHO,n=100000,k=64         calls with k in flight
--   local:n=100000,k=64                   the same, to a service of this node
--   oneway:dest=ECHO,n=100000             one-way messages, until all are counted
--   payload:dest=ECHO,size=1048576,n=64,k=4   strings there and back
--   spawn:n=200                           new services of this node
--   names:dest=ECHO,n=1000,k=64,s=1       n names: registered, found, called
--   quiet:dest=ECHO,s=2[,flooder=A,sink=B]    a call every 10 ms, beside a flood
--   echo:name=ECHO                        no measurement: start an echo service
--
-- calls, local: instead of n calls, s=2 makes calls for that many seconds.
-- `dest` is a service that answers as echo.lua does; NODE@NAME is one of a cluster.
-- `quit` ends the node.
-- benchmarks/actors.py does the same work in Python; keep them alike.

local skynet = require "skynet"
pcall(require, "skynet.manager")
local cluster = skynet.getenv "cluster" and require "skynet.cluster"

local jobs = { ... }
local job = {}
local WARM = 5000       -- calls that are made before those which count
-- The tree of 2013 has no fine clock; its latencies come in steps of 10 ms.
local clock = skynet.hpc or function() return skynet.now() * 10000000 end

local function json(value)
    if type(value) == "string" then
        return '"' .. value:gsub('[%c"\\]', "?") .. '"'
    elseif type(value) == "number" and value ~= math.floor(value) then
        return string.format("%.6f", value)
    elseif type(value) == "number" then
        return string.format("%.0f", value)
    end
    return tostring(value)
end

local function report(fields)
    local keys, parts = {}, {}
    for key in pairs(fields) do
        keys[#keys + 1] = key
    end
    table.sort(keys)
    for i, key in ipairs(keys) do
        parts[i] = json(key) .. ": " .. json(fields[key])
    end
    io.stdout:write("{" .. table.concat(parts, ", ") .. "}\n")
    io.stdout:flush()
end

-- How a destination is called, and how it is sent to. Both take the values only.
local function way(dest)
    local node, name = tostring(dest):match "^(%w+)(@%w+)$"
    if node then
        return function(...)
            return cluster.call(node, name, ...)
        end, function(...)
            cluster.send(node, name, ...)
        end
    end
    return function(...)
        return skynet.call(dest, "lua", ...)
    end, function(...)
        skynet.send(dest, "lua", ...)
    end
end

-- Until the destination answers: right after boot a name may be known before
-- the link to its node is up, and such calls fail.
local function await(call)
    while not pcall(call, "ECHO") do
        skynet.sleep(10)
    end
end

-- Runs f n times, or for s seconds, with k coroutines; returns seconds, CPU
-- seconds of the process and the sorted times of each run in µs.
local function measure(f, k, n, s)
    local main = coroutine.running()
    local times, left, running, err = {}, n or math.huge, k, nil
    local cpu, start = os.clock(), clock()
    local stop = s and start + s * 1e9 or math.huge
    local function work()
        while left > 0 do
            left = left - 1
            local t = clock()
            if t >= stop then
                break
            end
            f()
            times[#times + 1] = (clock() - t) / 1000
        end
    end
    for _ = 1, k do
        skynet.fork(function()
            local ok, why = pcall(work)
            err = err or not ok and why
            running = running - 1
            if running == 0 or err then
                skynet.wakeup(main)
            end
        end)
    end
    while running > 0 and not err do
        skynet.sleep(1000000)
    end
    assert(not err, err)
    local seconds = math.max((clock() - start) / 1e9, 1e-9)
    cpu = os.clock() - cpu
    table.sort(times)
    return seconds, cpu, times
end

local function percentile(times, p)
    return times[math.max(1, math.ceil(#times * p))]
end

-- Measures calls that f makes; `call` tells of the CPU of their destination's process,
-- nil if that is this one.
local function calls(fields, f, call, k, n, s)
    measure(f, k, math.min(n or WARM, WARM))
    local server = call and call "CPU" or 0
    local seconds, cpu, times = measure(f, k, n, s)
    server = call and call "CPU" - server or 0
    n = #times
    fields.n, fields.k, fields.seconds = n, k, seconds
    fields.calls_per_s = n / seconds
    fields.cpu_s, fields.server_cpu_s = cpu, server
    fields.cpu_us_per_call = (cpu + server) / n * 1e6
    fields.p50_us, fields.p99_us = percentile(times, 0.5), percentile(times, 0.99)
    fields.max_us = times[#times]
    report(fields)
end

local function echo(call)
    return function()
        local i, s = call("ECHO", 1, "hello")
        assert(i == 1 and s == "hello")
    end
end

local function bounds(o)
    return o.k or 64, o.n or not o.s and 100000 or nil, o.s
end

function job.calls(o)
    local call = way(o.dest)
    await(call)
    calls({ job = "calls" }, echo(call), call, bounds(o))
end

job["local"] = function(o)
    local dest = skynet.newservice "echo"
    calls({ job = "local" }, echo(way(dest)), nil, bounds(o))
    skynet.kill(dest)
end

local function send_all(call, send, n)
    call "RESET"
    local start = clock()
    for i = 1, n do
        send("COUNT", i)
        if i % 1000 == 0 then
            skynet.yield()      -- let answers, and this node's other work, in
        end
    end
    local seconds = (clock() - start) / 1e9
    return seconds, call "RESULT"
end

function job.oneway(o)
    local n = o.n or 100000
    local call, send = way(o.dest)
    await(call)
    send_all(call, send, math.min(n, WARM))
    local server = call "CPU"
    local cpu, start = os.clock(), clock()
    local sent, count, in_order = send_all(call, send, n)
    local seconds = (clock() - start) / 1e9
    cpu = os.clock() - cpu
    server = call "CPU" - server
    report {
        job = "oneway", n = n, messages_per_s = n / seconds, seconds = seconds,
        send_s = sent, cpu_s = cpu, server_cpu_s = server,
        cpu_us_per_message = (cpu + server) / n * 1e6,
        received = count, in_order = in_order,
    }
end

function job.payload(o)
    local size, n, k = o.size or 1048576, o.n or 64, o.k or 4
    local blob = ("x"):rep(size)
    local call = way(o.dest)
    local function f()
        assert(call("ECHO", blob) == blob)
    end
    await(call)
    measure(f, k, math.min(n, 8))
    local server = call "CPU"
    local seconds, cpu, times = measure(f, k, n)
    server = call "CPU" - server
    report {
        job = "payload", n = n, k = k, size = size, seconds = seconds,
        mb_per_s = 2 * n * size / seconds / 1e6,    -- both ways together
        cpu_s = cpu, server_cpu_s = server,
        cpu_us_per_mb = (cpu + server) / (2 * n * size) * 1e12,
        p50_us = percentile(times, 0.5), p99_us = percentile(times, 0.99),
        max_us = times[#times],
    }
end

-- Resident KB of this process.
local function resident()
    local file = io.open "/proc/self/status"
    if not file then
        return 0
    end
    local kb = file:read("*a"):match "VmRSS:%s*(%d+)"
    file:close()
    return tonumber(kb)
end

function job.spawn(o)
    local n = o.n or 200
    local handles = { skynet.newservice "echo" }    -- warm: the code is loaded once
    local before = resident()
    local seconds, cpu, times = measure(function()
        handles[#handles + 1] = skynet.newservice "echo"
    end, 1, n)
    local rss = resident() - before
    report {
        job = "spawn", n = n, seconds = seconds, cpu_s = cpu,
        actors_per_s = n / seconds, us_per_actor = seconds / n * 1e6,
        p50_us = percentile(times, 0.5), p99_us = percentile(times, 0.99),
        max_us = times[#times], rss_kb_per_actor = rss / n,
    }
    for _, handle in ipairs(handles) do
        skynet.kill(handle)
    end
end

function job.names(o)
    local n, k, s = o.n or 1000, o.k or 64, o.s or 1
    local i
    local function name()
        i = i % n + 1
        return string.format("B%08d", i)
    end
    local call = way(o.dest)
    await(call)
    local query = require("skynet.harbor").queryname
    local own = query(o.dest)
    local function find()
        assert(query(name()) == own)
    end
    i = 0
    local start = clock()
    measure(function()
        call("REGISTER", name())
    end, k, n)
    i = 0
    measure(find, k, n)
    local known = (clock() - start) / 1e9   -- all registered there and known here
    i = 0
    local queried = measure(find, k, n)
    calls({
        job = "names", names = n,
        known_us = known / n * 1e6, query_us = queried / n * 1e6,
    }, function()
        local number, text = skynet.call(name(), "lua", "ECHO", 1, "hello")
        assert(number == 1 and text == "hello")
    end, call, k, nil, s)
end

function job.echo(o)
    skynet.newservice("echo", o.name)
end

function job.quiet(o)
    local call = way(o.dest)
    await(call)
    local sent, flooded
    local start = clock()
    if o.flooder then
        skynet.fork(function()
            sent = skynet.call(o.flooder, "lua", "FLOOD", o.sink, o.s)
            flooded = (clock() - start) / 1e9
        end)
    end
    local f, times = echo(call), {}
    while clock() < start + o.s * 1e9 do
        skynet.sleep(1)
        local t = clock()
        f()
        times[#times + 1] = (clock() - t) / 1000
    end
    while o.flooder and not sent do
        skynet.sleep(1)
    end
    table.sort(times)
    report {
        job = "quiet", n = #times, flood_per_s = sent and sent / flooded,
        p50_us = percentile(times, 0.5), p99_us = percentile(times, 0.99),
        max_us = times[#times],
    }
end

local function run()
    for _, text in ipairs(jobs) do
        if text == "quit" then
            skynet.sleep(10)    -- the log is written by another thread
            skynet.abort()
            return
        end
        local name, options = text:match "^(%w+):?(.*)$"
        local o = {}
        for key, value in options:gmatch "(%w+)=([^,]+)" do
            o[key] = tonumber(value) or value
        end
        local ok, err = pcall(job[name] or error, job[name] and o or "no such job")
        if not ok then
            report { job = name, error = tostring(err) }
        end
    end
end

skynet.start(function()
    skynet.fork(run)
end)
