-- Refusals with their true status. auth_request knows only 2xx, 401 and 403, so
-- authsvc says the rest in X-Auth-Status; here it becomes the answer.

local init = require("gatehouse.init")
local page = require("gatehouse.page")
local tarpit = require("gatehouse.tarpit")

local ngx = ngx
local find, format, match = string.find, string.format, string.match

local _M = {}

local pit = assert(tarpit.new(ngx.shared.gatehouse_refused, init.refusal_wait))

local texts = {
    [401] = '{"error": "Unauthorized", "message": "Sign in, or send an access token."}',
    [404] = '{"error": "Not Found", "message": "Nothing answers at this path."}',
    [421] = '{"error": "Misdirected Request", "message": "This gate does not answer to that host name."}',
    [403] = '{"error": "Forbidden", "message": "This is not open to you."}',
    [429] = '{"error": "Too Many Requests", "message": "Rate limit exceeded. Please try again later."}',
    [503] = '{"error": "Service Unavailable", "message": "MCP Gateway is temporarily unavailable. Please try again later."}',
    no_session = '{"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "no such session"}}',
    two_sessions = '{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "more than one Mcp-Session-Id"}}',
}

-- Where this gate lies, as its people see it.
local function public(var)
    return (var.gatehouse_prefix or "") .. (var.gatehouse_below or "")
end

-- text is for programs: a person with a browser gets a page, unless it is an
-- answer to a call.
local function answer(status, refusal, text)
    local var = ngx.var
    ngx.status = status
    var.gatehouse_refusal = refusal
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Cache-Control"] = "no-store"
    local call = text and find(text, '"jsonrpc"', 1, true)
    if not call and texts[status] and status ~= 401 and page.wanted() then
        ngx.say(page.of(status, status ~= 421 and public(var) .. "/" or nil))
    else
        ngx.say(text or texts[status])
    end
    return ngx.exit(ngx.OK)
end

-- Assigning replaces: auth_request has copied the header on 401 already, and a
-- client that reads two may take the wrong one.
local function challenge()
    local value = ngx.var.gatehouse_challenge or ""
    if value ~= "" then
        ngx.header["WWW-Authenticate"] = value
    end
end

function _M.unauthorized()
    local var = ngx.var
    local status = var.gatehouse_auth_status
    if status == "429" or status == "503" then
        ngx.header["WWW-Authenticate"] = nil
        local retry = var.gatehouse_auth_retry or ""
        ngx.header["Retry-After"] = retry ~= "" and retry or "5"
        return answer(status == "429" and 429 or 503, "authsvc " .. status)
    end
    if (var.gatehouse_auth_cookie or "") ~= "" then
        ngx.header["Set-Cookie"] = var.gatehouse_auth_cookie
    end
    if page.wanted() then
        ngx.header["WWW-Authenticate"] = nil
        var.gatehouse_refusal = "sign in"
        -- authsvc takes all that follows as the way back, so nothing is escaped.
        return ngx.redirect(public(var) .. "/login?return_to=" .. var.gatehouse_prefix .. var.request_uri, 302)
    end
    challenge()
    return answer(401, "not signed in")
end

-- authsvc says in error_description what a caller lacks and whom to ask; it
-- holds no quote and no backslash. A person is shown authsvc's page of it.
function _M.forbidden()
    local var = ngx.var
    local why = match(var.gatehouse_challenge or "", 'error_description="([^"]+)"')
    if why and page.wanted() then
        var.gatehouse_refusal = "forbidden"
        return ngx.redirect(public(var) .. "/account/denied", 302)
    end
    challenge()
    return answer(403, "forbidden", why and '{"error": "Forbidden", "message": "' .. why .. '"}')
end

-- A user is known by then, or an address: that alone, for a credential that a
-- limit for an address told apart is not verified, and another in each request
-- would be a new caller each time. Who shares the address waits half a second
-- more for a refusal, and for nothing else.
function _M.limited()
    local var = ngx.var
    local caller = var.gatehouse_limit == "user" and var.gatehouse_user or var.gatehouse_neighbours
    local wait = pit:hold(caller, ngx.now())
    if wait > 0 then
        var.gatehouse_waited = format("%.3f", wait)
        ngx.sleep(wait) -- the rest of the request is not read meanwhile
    end
    return answer(429, "limited")
end

function _M.not_found()
    return answer(404, "")
end

function _M.misdirected()
    return answer(421, "")
end

-- Whether the name servers say that a host is gone. nginx answers 502 for that
-- and for a name server that is away alike, and tells nobody which it was.
local function nameless(address)
    local host, port = match(address or "", "^([%w.-]+):(%d+)$")
    if not host then
        return false
    end
    local sock = ngx.socket.tcp()
    sock:settimeout(2000)
    local ok, err = sock:connect(host, tonumber(port))
    if ok then
        sock:close()
        return false
    end
    return find(err or "", "Host not found", 1, true) ~= nil
end

-- A session lives in its node: where that takes no connection, or has no name
-- any more, it is gone, and a 503 would let its client wait for ever.
local function lost()
    local var = ngx.var
    if (var.gatehouse_node or "") == "" then
        return false
    end
    local times = var.upstream_connect_time -- "-" for each address that took none
    if times then
        return not find(times, "%d")
    end
    return nameless(var.gatehouse_bridge)
end

function _M.unavailable()
    if lost() then
        return _M.unknown_node()
    end
    ngx.header["Retry-After"] = "5"
    return answer(503, "unavailable")
end

function _M.unknown_node()
    return answer(404, "unknown node", texts.no_session)
end

function _M.two_sessions()
    return answer(400, "two sessions", texts.two_sessions)
end

return _M
