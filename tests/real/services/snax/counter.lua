-- A snax service: its init takes the number to begin with, and fails without one.
-- Its methods have the numbers 5 and 6, after the four that all snax services have.

local snax = require "skynet.snax"

local count

function init(first)
    count = first + 0
    snax.enablecluster()
end

function response.get()
    return count
end

function accept.add(n)
    count = count + n
end
