-- The two hooks of location/protect.conf. recall() runs before auth_request and
-- jumps behind it when the verdict is remembered; admit() runs after it, or
-- behind it, and lets nobody pass without a verdict.
--
-- No pcall here: an uncaught error answers 500 and is closed.

local init = require("gatehouse.init")
local limit = require("gatehouse.limit")
local verdict = require("gatehouse.verdict")
local reject = require("gatehouse.reject")

local ngx = ngx
local find, sub = string.find, string.sub

local _M = {}

local names = {
    "gatehouse_user", "gatehouse_email", "gatehouse_name",
    "gatehouse_roles", "gatehouse_scopes", "gatehouse_assertion",
}

local verdicts = assert(verdict.new(ngx.shared.gatehouse_verdicts, init.secret, init.verdict_ttl))
local limits = assert(limit.new(ngx.shared.gatehouse_limits, init.user_rate, init.user_burst))

-- A proof (DPoP) belongs to one request: it is never answered from memory.
local function key()
    local var = ngx.var
    if (var.gatehouse_dpop or "") ~= "" then
        return nil
    end
    return verdicts:key(var.gatehouse_authorization or "", var.gatehouse_cookie or "")
end

function _M.recall()
    local credential = key()
    local text = credential and verdicts:recall(credential)
    if not text then
        return
    end
    local var, from = ngx.var, 1
    for i = 1, #names do
        local to = find(text, "\n", from, true) or #text + 1
        if to > from then
            var[names[i]] = sub(text, from, to - 1)
        end
        from = to + 1
    end
    return ngx.exec("@known")
end

local function remember()
    local var = ngx.var
    local credential = var.gatehouse_verdict_cc and key()
    if not credential then
        return
    end
    local fields = {}
    for i = 1, #names do
        fields[i] = var[names[i]] or ""
    end
    verdicts:remember(credential, fields, var.gatehouse_verdict_cc)
end

-- Answers 404 for a session of a bridge that is not there: the client begins a
-- new one.
function _M.route()
    if (ngx.var.gatehouse_bridge or "") == "" then
        return reject.unknown_node()
    end
end

function _M.admit()
    local user = ngx.var.gatehouse_user or ""
    if user == "" then
        ngx.log(ngx.ERR, "a verdict without a user")
        return ngx.exit(503)
    end
    remember()
    local pass, left, wait = limits:take(user, ngx.now())
    ngx.header["RateLimit-Limit"] = init.user_burst + 1
    ngx.header["RateLimit-Remaining"] = left
    ngx.header["RateLimit-Reset"] = wait
    if not pass then
        ngx.var.gatehouse_limit = "user"
        ngx.header["Retry-After"] = wait
        return ngx.exit(429)
    end
    return _M.route()
end

return _M
