-- The two hooks of the guard. check() stands in front of a bridge's location
-- (location/protect.conf): it lets a remembered verdict in and sends all others
-- to @ask (server/auth.conf), where auth_request makes one and admit() lets
-- nobody pass without it.
--
-- No pcall here: an uncaught error answers 500 and is closed.

local init = require("gatehouse.init")
local limit = require("gatehouse.limit")
local verdict = require("gatehouse.verdict")
local reject = require("gatehouse.reject")

local ngx = ngx

local _M = {}

local names = {
    "gatehouse_user", "gatehouse_email", "gatehouse_name",
    "gatehouse_roles", "gatehouse_scopes", "gatehouse_assertion",
}

local verdicts = assert(verdict.new(ngx.shared.gatehouse_verdicts, init.secret, init.verdict_ttl))
local limits = assert(limit.new(ngx.shared.gatehouse_limits, init.user_rate, init.user_burst))

-- The caller's credentials as they were sent: a control byte in one makes
-- another text of it here, and a refusal at authsvc, which nobody remembers. A
-- proof (DPoP) belongs to one request: it is never answered from memory.
local function credential(var)
    if (var.http_dpop or "") == "" then
        return verdicts:credential(var.http_authorization or "", var.http_cookie or "")
    end
end

local function remember(var)
    local cache_control = var.gatehouse_verdict_cc
    local caller = cache_control and credential(var)
    if not caller then
        return
    end
    local fields = {}
    for i = 1, #names do
        fields[i] = var[names[i]] or ""
    end
    verdicts:remember(caller, fields, cache_control, ngx.now())
end

-- Answers 404 for a session of a bridge that is not there: the client begins a
-- new one.
function _M.route()
    if (ngx.var.gatehouse_bridge or "") == "" then
        return reject.unknown_node()
    end
end

-- Takes one call of the user's rate, says in the answer what is left of it,
-- and lets it go on.
local function pass(var, user)
    local ok, left, wait = limits:take(user, ngx.now())
    local header = ngx.header
    header["RateLimit-Limit"] = init.user_burst + 1
    header["RateLimit-Remaining"] = left
    header["RateLimit-Reset"] = wait
    if not ok then
        var.gatehouse_limit = "user"
        header["Retry-After"] = wait
        return ngx.exit(429)
    end
    return _M.route()
end

function _M.check()
    local var = ngx.var
    local caller = credential(var)
    local fields = caller and verdicts:recall(caller, ngx.now())
    if not fields then
        return ngx.exec("@ask")
    end
    for i = 1, #names do
        if fields[i] ~= "" then
            var[names[i]] = fields[i]
        end
    end
    return pass(var, fields[1])
end

function _M.admit()
    local var = ngx.var
    local user = var.gatehouse_user or ""
    if user == "" then
        ngx.log(ngx.ERR, "a verdict without a user")
        return ngx.exit(503)
    end
    remember(var)
    return pass(var, user)
end

return _M
