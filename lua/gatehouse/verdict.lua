-- Remembers a good verdict of authsvc for a moment, so that a busy client does
-- not cost a subrequest for every call. Refusals are never remembered: a login
-- cures them at once. Keys are a keyed hash; no credential is stored.

local hmac = ngx.hmac_sha1
local concat = table.concat
local match = string.match
local min = math.min
local tonumber = tonumber

local _M = {}
local mt = { __index = _M }

-- dict is an ngx.shared dictionary, ttl the most seconds that a verdict lives.
function _M.new(dict, secret, ttl)
    if not dict then
        return nil, "no shared dictionary"
    end
    return setmetatable({ dict = dict, secret = secret, ttl = ttl }, mt)
end

-- The key of a caller's credentials, or nil where there is nothing to key.
function _M:key(authorization, cookie)
    if self.ttl == 0 or (authorization == "" and cookie == "") then
        return nil
    end
    return hmac(self.secret, #authorization .. ":" .. authorization .. cookie)
end

-- Stores the fields (no field holds a newline: authsvc refuses control bytes).
-- cache_control is authsvc's word on how long the assertion lives.
function _M:remember(key, fields, cache_control)
    local age = tonumber(match(cache_control or "", "max%-age=(%d+)") or 0)
    local ttl = min(age, self.ttl)
    if ttl > 0 then
        self.dict:set(key, concat(fields, "\n"), ttl)
    end
end

-- The stored text, or nil.
function _M:recall(key)
    return self.dict:get(key)
end

return _M
