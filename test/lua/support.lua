-- What the modules need of nginx, in plain Lua: a shared dictionary without a
-- clock, and an ngx that keeps what was answered.
local _M = {}

local dict = {}
dict.__index = dict

function _M.dict()
    return setmetatable({ values = {}, ttls = {} }, dict)
end

function dict:get(key)
    return self.values[key]
end

function dict:set(key, value, ttl)
    self.values[key], self.ttls[key] = value, ttl
    return true
end

function dict:incr(key, by, init, ttl)
    if not self.values[key] then
        self.ttls[key] = ttl
    end
    self.values[key] = (self.values[key] or init) + by
    return self.values[key]
end

-- Answers that end a request raise this, as ngx.exit ends a handler.
_M.ended = {}

function _M.ngx(var, method)
    local ngx = { OK = 0, ERR = 4, var = var or {}, header = {}, said = {}, shared = {} }
    ngx.req = { get_method = function() return method or "GET" end }
    ngx.say = function(text) ngx.said[#ngx.said + 1] = text end
    ngx.exit = function(status) ngx.exited = status end
    ngx.redirect = function(to, status) ngx.redirected, ngx.status = to, status end
    ngx.hmac_sha1 = function(secret, text) return secret .. "|" .. text end
    return ngx
end

-- Loads a module of lua/gatehouse against this ngx.
function _M.load(name, fake)
    _G.ngx = fake
    package.loaded["gatehouse." .. name] = nil
    package.loaded["gatehouse.page"] = nil -- it holds ngx, too
    return require("gatehouse." .. name)
end

return _M
