-- Values of site/limits.conf, read once before the workers start. The secret
-- keys the verdict cache; it is new at each start and reload, and never leaves
-- memory.

local error = error
local require = require
local open = io.open
local pairs = pairs
local type = type

local _M = { max_verdict_ttl = 2 }

-- Each value's least, most and default; nil: the file must say it.
local known = {
    user_rate = { least = 0.01 },
    user_burst = { least = 0 },
    user_wait = { least = 0, most = 30, default = 3 },
    refusal_wait = { least = 0, most = 5, default = 0.5 },
    verdict_ttl = { least = 0 },
}

local function checked(name, value, rule)
    if value == nil then
        value = rule.default
    end
    if type(value) ~= "number" or value < rule.least or value > (rule.most or value) then
        local to = rule.most and " and at most " .. rule.most or ""
        error("gatehouse: " .. name .. " must be a number of at least " .. rule.least .. to, 0)
    end
    return value
end

-- A wrong value stops nginx at its start, not a request later.
function _M.setup(values)
    for name in pairs(values) do
        if not known[name] then
            error("gatehouse: " .. name .. " is no value of site/limits.conf: " ..
                "user_rate, user_burst, user_wait, refusal_wait and verdict_ttl are", 0)
        end
    end
    for name, rule in pairs(known) do
        _M[name] = checked(name, values[name], rule)
    end
    if _M.verdict_ttl > _M.max_verdict_ttl then
        _M.verdict_ttl = _M.max_verdict_ttl
    end
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
