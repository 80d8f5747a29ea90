-- A service that fails to start, once in the life of its process.

local skynet = require "skynet"

skynet.start(function()
    if not skynet.getenv "moody" then
        skynet.setenv("moody", "yes")
        error "not today"
    end
end)
