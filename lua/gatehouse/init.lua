-- Values of site/limits.conf, read once before the workers start. The secret
-- keys the verdict cache; it is new at each start and reload, and never leaves
-- memory.

local error = error
local require = require
local open = io.open
local min = math.min
local type = type

local _M = { max_verdict_ttl = 2 }

local function number(values, name, least)
    local value = values[name]
    if type(value) ~= "number" or value < least then
        error("gatehouse: " .. name .. " must be a number of at least " .. least)
    end
    return value
end

-- A wrong value stops nginx at its start, not a request later.
function _M.setup(values)
    _M.user_rate = number(values, "user_rate", 0.01)
    _M.user_burst = number(values, "user_burst", 0)
    _M.verdict_ttl = min(number(values, "verdict_ttl", 0), _M.max_verdict_ttl)
    local source = open("/dev/urandom", "rb")
    _M.secret = source and source:read(32)
    if not _M.secret or #_M.secret ~= 32 then
        error("gatehouse: no random bytes for the key of the verdict cache")
    end
    source:close()
    -- Loaded here, by the master: a fault in a module stops the start, and the
    -- workers need no right to read the files.
    require("gatehouse.guard")
end

return _M
