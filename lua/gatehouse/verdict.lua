-- Remembers a good verdict of authsvc for a moment, so that a busy client does
-- not cost a subrequest for every call. Refusals are never remembered: a login
-- cures them at once.
--
-- The memory that all workers share is keyed by a keyed hash and holds no
-- credential. In front of it each worker keeps what it used in this moment by
-- the question itself, because a hash of a token costs more than all the rest
-- of a hit. That adds no place where a credential lies: the worker has just
-- read it from the connection into the same memory. Both end at one time, which
-- is set when authsvc answers.

local recent = require("gatehouse.recent")

local hmac = ngx.hmac_sha1
local concat = table.concat
local find, match, sub = string.find, string.match, string.sub
local min = math.min
local tonumber = tonumber

local _M = {}
local mt = { __index = _M }

local skew = 0.1 -- a worker reads its clock once for all events that wait
local most = 4 * 2 ^ 20 -- bytes of credentials that a worker keeps in each of two generations

-- dict is an ngx.shared dictionary, ttl the most seconds that a verdict lives.
function _M.new(dict, secret, ttl)
    if not dict then
        return nil, "no shared dictionary"
    end
    return setmetatable({ dict = dict, secret = secret, ttl = ttl, recent = recent.new(ttl, most) }, mt)
end

-- What is asked, as one text, or nil where nothing may be remembered. A verdict
-- of one authsvc says nothing at another, nor for another resource. The lengths
-- keep what a client chooses apart.
function _M:question(host, authsvc, resource, authorization, cookie)
    if self.ttl == 0 or (authorization == "" and cookie == "") then
        return nil
    end
    return host .. " " .. authsvc .. " " .. #resource .. ":" .. resource .. #authorization .. ":" .. authorization .. cookie
end

-- Stores the fields (no field holds a newline: authsvc refuses control bytes).
-- cache_control is authsvc's word on how long the assertion lives.
function _M:remember(question, fields, cache_control, now)
    local age = tonumber(match(cache_control or "", "max%-age=(%d+)") or 0)
    local ttl = min(age, self.ttl)
    if ttl <= 0 then
        return
    end
    fields.expires = now + ttl
    self.recent:set(question, fields, now)
    self.dict:set(hmac(self.secret, question), fields.expires .. "\n" .. concat(fields, "\n"), ttl)
end

local function parsed(text)
    local fields, from = {}, find(text, "\n", 1, true) + 1
    fields.expires = tonumber(sub(text, 1, from - 2))
    while true do
        local to = find(text, "\n", from, true)
        fields[#fields + 1] = sub(text, from, to and to - 1)
        if not to then
            return fields
        end
        from = to + 1
    end
end

-- The fields of a verdict that still holds, or nil.
function _M:recall(question, now)
    local last = now + self.ttl + skew -- an end beyond it was set before the clock was set back
    local fields = self.recent:get(question, now)
    if fields and fields.expires <= last then
        return fields
    end
    local text = self.dict:get(hmac(self.secret, question))
    fields = text and parsed(text)
    if fields and fields.expires > now and fields.expires <= last then
        self.recent:set(question, fields, now)
        return fields
    end
end

return _M
