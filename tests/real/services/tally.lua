-- Writes down what it has run, where the death of its node does not undo it.
-- Start: tally FILE
--   RUN i [padding]    appends the line "i" to FILE, then answers i; also one way

local skynet = require "skynet"

local file = assert(io.open((...), "a"))

skynet.start(function()
    skynet.dispatch("lua", function(session, _, cmd, i)
        assert(cmd == "RUN")
        file:write(string.format("%d\n", i))
        file:flush()
        if session ~= 0 then
            skynet.ret(skynet.pack(i))
        end
    end)
end)
