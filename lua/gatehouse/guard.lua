-- The hooks of the guard, in the order in which a request meets them. In every
-- location strip() takes what only the gate may read or say. In a location with
-- location/protect.conf auth_request makes a subrequest, and recall() answers it
-- from memory, or authsvc does. admit() then remembers the verdict, lets nobody
-- pass without one, and has each user wait for their turn.
--
-- No pcall here: an uncaught error is closed, and answered with 503.

local init = require("gatehouse.init")
local limit = require("gatehouse.limit")
local page = require("gatehouse.page")
local verdict = require("gatehouse.verdict")
local reject = require("gatehouse.reject")

local ngx = ngx
local find, format, gmatch, match = string.find, string.format, string.gmatch, string.match
local concat = table.concat
local type = type

local _M = {}

local names = {
    "gatehouse_user", "gatehouse_email", "gatehouse_name",
    "gatehouse_roles", "gatehouse_scopes", "gatehouse_assertion",
}

-- The headers in which authsvc says them.
local headers = {
    "X-User-Id", "X-User-Email", "X-User-Name",
    "X-User-Roles", "X-User-Scopes", "X-User-Assertion",
}

local kept = { "gatehouse_authorization", "gatehouse_cookie", "gatehouse_dpop" }
local private = {
    "Authorization", "Cookie", "DPoP",
    "X-User-Id", "X-User-Email", "X-User-Name", "X-User-Roles", "X-User-Scopes", "X-User-Assertion", "X-Auth-Status",
}

local verdicts = assert(verdict.new(ngx.shared.gatehouse_verdicts, init.secret, init.verdict_ttl))
local turns = assert(limit.new(ngx.shared.gatehouse_limits, init.user_rate, init.user_burst, init.user_wait))

-- Takes the credentials and all that speaks of the caller out of the request, so
-- that no location hands them on, whatever its own proxy_set_header says. The
-- variables keep the credentials for who asks for them by name.
function _M.strip()
    if ngx.is_subrequest then
        return
    end
    local var, clear = ngx.var, ngx.req.clear_header
    for i = 1, #kept do
        local _ = var[kept[i]] -- read once, and so remembered by nginx for the rest of the request
    end
    for i = 1, #private do
        clear(private[i])
    end
end

-- The client's cookies without those of any gate: their names all begin alike
-- (authsvc's --cookie-name), and a browser sends each gate of its host all of them.
function _M.other_cookies()
    local others = {}
    for pair in gmatch(ngx.var.gatehouse_cookie or "", "[^;]+") do
        local cookie = match(pair, "^ *(.*)$")
        if find(cookie, "__Host-gatehouse", 1, true) ~= 1 then
            others[#others + 1] = cookie
        end
    end
    return concat(others, "; ")
end

-- Who asks, and for what: a verdict holds for one host, one authsvc and one
-- resource. A proof (DPoP) belongs to one request and is never remembered.
local function question(var)
    if (var.gatehouse_dpop or "") == "" then
        return verdicts:question(
            var.host, var.gatehouse_authsvc, var.gatehouse_resource,
            var.gatehouse_authorization or "", var.gatehouse_cookie or "")
    end
end

-- Answers auth_request's question where the answer is remembered, in the very
-- headers of authsvc.
function _M.recall()
    local asked = question(ngx.var)
    local fields = asked and verdicts:recall(asked, ngx.now())
    if not fields then
        return
    end
    local header = ngx.header
    for i = 1, #headers do
        if fields[i] ~= "" then
            header[headers[i]] = fields[i]
        end
    end
    return ngx.exit(204)
end

-- An answer from memory has no Cache-Control: it is not remembered again.
local function remember(var)
    local cache_control = var.gatehouse_verdict_cc or ""
    local asked = cache_control ~= "" and question(var)
    if not asked then
        return
    end
    local fields = {}
    for i = 1, #names do
        fields[i] = var[names[i]] or ""
    end
    verdicts:remember(asked, fields, cache_control, ngx.now())
end

-- Takes one call of the user's rate, waits until its turn, and says in the
-- answer what is left. ngx.sleep holds no worker.
local function take_turn(var, user)
    local ok, left, reset, wait = turns:take(var.gatehouse_authsvc .. " " .. user, ngx.now())
    local header = ngx.header
    header["RateLimit-Limit"] = init.user_burst + 1
    header["RateLimit-Remaining"] = left
    header["RateLimit-Reset"] = reset
    if not ok then
        var.gatehouse_limit = "user"
        header["Retry-After"] = reset
        return ngx.exit(429)
    end
    if wait > 0 then
        var.gatehouse_waited = format("%.3f", wait)
        ngx.sleep(wait)
    end
end

-- A request names one session or none: of two, this gate and the bridge could
-- each believe another.
local function names_two_sessions(var)
    local id = var.http_mcp_session_id
    if not id then
        return false
    end
    return find(id, ",", 1, true) or type(ngx.req.get_headers()["Mcp-Session-Id"]) == "table"
end

-- Refuses a session of a bridge that is not there: the client begins a new one.
function _M.route()
    local var = ngx.var
    if names_two_sessions(var) then
        return reject.two_sessions()
    end
    if (var.gatehouse_bridge or "") == "" then
        return reject.unknown_node()
    end
end

-- A person who opens an endpoint of the bridge in a browser is shown the page
-- that says how to connect; it costs no call. No client of MCP navigates.
local function opened(var)
    if var.http_sec_fetch_mode ~= "navigate" or not page.wanted() then
        return false
    end
    local server, endpoint = match(var.uri, "^/servers/([^/]+)/(%a+)$")
    endpoint = endpoint or match(var.uri, "^/(%a+)$")
    if endpoint ~= "mcp" and endpoint ~= "sse" and endpoint ~= "message" then
        return false
    end
    local query = server and "?server=" .. server or ""
    ngx.redirect(var.gatehouse_prefix .. var.gatehouse_below .. "/" .. query, 303)
    return true
end

function _M.admit()
    local var = ngx.var
    local user = var.gatehouse_user or ""
    if user == "" then
        ngx.log(ngx.ERR, "a verdict without a user")
        return ngx.exit(503)
    end
    remember(var)
    if opened(var) then
        return
    end
    take_turn(var, user)
    return _M.route()
end

return _M
