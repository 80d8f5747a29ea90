-- Measures, and prints one line of JSON for each job. Start:
--
--   loadgen JOB[:key=value,...] ... [quit]
--
--   calls:dest=ECHO,n=100000,k=64         calls with k in flight
--   local:n=100000,k=64                   the same, to a service of this node
--   oneway:dest=ECHO,n=100000,batch=1000  one-way messages, until all are counted
--   payload:dest=ECHO,size=1048576,n=64,k=4   strings there and back
--   spawn:n=200                           new services of this node
--
-- `dest` is a service that answers as echo.lua does. `quit` ends the node.

local skynet = require "skynet"
pcall(require, "skynet.manager")

local jobs = { ... }
local job = {}
-- The tree of 2013 has no fine clock; its latencies come in steps of 10 ms.
local clock = skynet.hpc or function() return skynet.now() * 10000000 end

local function json(value)
    if type(value) == "string" then
        return '"' .. value:gsub('[%c"\\]', "?") .. '"'
    elseif type(value) == "number" and value ~= math.floor(value) then
        return string.format("%.3f", value)
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

-- Until the destination answers: right after boot a name may be known before
-- the link to its node is up, and such calls fail.
local function await(dest)
    while not pcall(skynet.call, dest, "lua", "ECHO") do
        skynet.sleep(10)
    end
end

-- Runs f n times with k coroutines; returns seconds, CPU seconds of the process
-- and the sorted times of each run in µs.
local function measure(n, k, f)
    local main = coroutine.running()
    local times, left, running = {}, n, k
    local cpu, start = os.clock(), clock()
    for _ = 1, k do
        skynet.fork(function()
            while left > 0 do
                left = left - 1
                local t = clock()
                f()
                times[#times + 1] = (clock() - t) / 1000
            end
            running = running - 1
            if running == 0 then
                skynet.wakeup(main)
            end
        end)
    end
    while running > 0 do
        skynet.sleep(1000000)
    end
    local seconds = math.max((clock() - start) / 1e9, 1e-9)
    cpu = os.clock() - cpu
    table.sort(times)
    return seconds, cpu, times
end

local function percentile(times, p)
    return times[math.max(1, math.ceil(#times * p))]
end

local function calls(kind, dest, n, k)
    local function f()
        local i, s = skynet.call(dest, "lua", "ECHO", 1, "hello")
        assert(i == 1 and s == "hello")
    end
    measure(math.min(n, 2000), k, f)    -- warm
    local seconds, cpu, times = measure(n, k, f)
    report {
        job = kind, n = n, k = k, calls_per_s = n / seconds,
        p50_us = percentile(times, 0.5), p99_us = percentile(times, 0.99),
        max_us = times[#times], seconds = seconds, cpu_s = cpu,
    }
end

function job.calls(o)
    await(o.dest)
    calls("calls", o.dest, o.n or 100000, o.k or 64)
end

job["local"] = function(o)
    local dest = skynet.newservice "echo"
    calls("local", dest, o.n or 100000, o.k or 64)
    skynet.kill(dest)
end

function job.oneway(o)
    local n, batch = o.n or 100000, o.batch or 1000
    await(o.dest)
    skynet.call(o.dest, "lua", "RESET")
    local cpu, start = os.clock(), clock()
    for i = 1, n do
        skynet.send(o.dest, "lua", "COUNT", i)
        if i % batch == 0 then
            skynet.yield()      -- let answers, and this node's other work, in
        end
    end
    local sent = clock()
    local count, in_order = skynet.call(o.dest, "lua", "RESULT")
    local seconds = (clock() - start) / 1e9
    report {
        job = "oneway", n = n, messages_per_s = n / seconds, seconds = seconds,
        send_s = (sent - start) / 1e9, cpu_s = os.clock() - cpu,
        received = count, in_order = in_order,
    }
end

function job.payload(o)
    local size, n, k = o.size or 1048576, o.n or 64, o.k or 4
    local blob = ("x"):rep(size)
    await(o.dest)
    local seconds, cpu, times = measure(n, k, function()
        assert(#skynet.call(o.dest, "lua", "ECHO", blob) == size)
    end)
    report {
        job = "payload", n = n, k = k, size = size, seconds = seconds, cpu_s = cpu,
        mb_per_s = 2 * n * size / seconds / 1e6,    -- both ways together
        p50_us = percentile(times, 0.5), max_us = times[#times],
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
    local seconds, cpu, times = measure(n, 1, function()
        handles[#handles + 1] = skynet.newservice "echo"
    end)
    local rss = resident() - before
    for _, handle in ipairs(handles) do
        skynet.kill(handle)
    end
    report {
        job = "spawn", n = n, seconds = seconds, cpu_s = cpu,
        services_per_s = n / seconds, p50_us = percentile(times, 0.5),
        p99_us = percentile(times, 0.99), max_us = times[#times],
        rss_kb_per_service = rss / n,
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
