-- Refusals with their true status. auth_request knows only 2xx, 401 and 403, so
-- authsvc says the rest in X-Auth-Status; here it becomes the answer.

local init = require("gatehouse.init")
local page = require("gatehouse.page")
local tarpit = require("gatehouse.tarpit")

local ngx, ipairs, tonumber = ngx, ipairs, tonumber
local find, format, gmatch, match = string.find, string.format, string.gmatch, string.match

local _M = {}

local pit = assert(tarpit.new(ngx.shared.gatehouse_refused, init.refusal_wait))

local later = '"MCP Gateway is temporarily unavailable. Please try again later.'

local texts = {
    [401] = '{"error": "Unauthorized", "message": "Sign in, or send an access token."}',
    [404] = '{"error": "Not Found", "message": "Nothing answers at this path."}',
    [421] = '{"error": "Misdirected Request", "message": "This gate does not answer to that host name."}',
    [403] = '{"error": "Forbidden", "message": "This is not open to you."}',
    [429] = '{"error": "Too Many Requests", "message": "Rate limit exceeded. Please try again later."}',
    [502] = '{"error": "Bad Gateway", "message": ' .. later .. ' The call may have run."}',
    [503] = '{"error": "Service Unavailable", "message": ' .. later .. '", "safe_to_retry": true}',
    [504] = '{"error": "Gateway Timeout", "message": ' .. later .. ' The call may have run."}',
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

-- Why an address takes no connection, nil where it takes one. nginx answers 502
-- alike for a name that is gone, a name server that is away, a port that nobody
-- listens on, and a socket that it cannot open itself, and tells nobody which.
local function fault(address)
    local host, port = match(address, "^(.+):(%d+)$")
    if not host and not find(address, "^unix:") then
        return "no address"
    end
    local sock = ngx.socket.tcp()
    sock:settimeout(2000)
    local ok, err
    if host then
        ok, err = sock:connect(host, tonumber(port))
    else
        ok, err = sock:connect(address)
    end
    if ok then
        sock:close()
        return nil
    end
    return err or ""
end

local function fails(address, words)
    local why = fault(address)
    for _, word in ipairs(words) do
        if why and find(why, word, 1, true) then
            return true
        end
    end
    return false
end

-- Whether the name servers say that a host is gone.
local function nameless(address)
    return fails(address, { "Host not found" })
end

-- Whether nobody listens: as the kernel says it of a port, and of a socket.
local function nobody(address)
    return fails(address, { "connection refused", "No such file or directory", "no such file or directory" })
end

-- Whether test holds for each value of a list of nginx, which has one for each
-- address that was tried.
local function every(list, test)
    local any = false
    for value in gmatch(list or "", "[^%s,]+") do
        if value ~= ":" then
            any = true
            if not test(value) then
                return false
            end
        end
    end
    return any
end

local function is_502(status)
    return status == "502"
end

-- Whether a part behind took the connection: nginx writes a time for it then, and
-- "-" for each address that took none.
local function taken(var)
    return find(var.upstream_connect_time or "", "%d") ~= nil
end

-- A session lives in its node: where nobody listens there, or it has no name any
-- more, the session is gone, and a 503 would let its client wait for ever. A
-- connection that only could not be made now (a timeout, no socket left here, a
-- full queue there) loses no session.
local function lost(var)
    if (var.gatehouse_node or "") == "" or taken(var) then
        return false
    end
    if not var.upstream_connect_time then
        return nameless(var.gatehouse_bridge or "")
    end
    return every(var.upstream_status, is_502) and every(var.upstream_addr, nobody)
end

-- What may be sent twice (RFC 9110, 9.2.2). A call is a POST.
local idempotent = { GET = true, HEAD = true, OPTIONS = true, TRACE = true, PUT = true, DELETE = true }

-- A 503 with Retry-After asks for the call again, so only what nobody behind had
-- gets one.
function _M.unavailable()
    local var = ngx.var
    if lost(var) then
        return _M.unknown_node()
    end
    if taken(var) and not idempotent[ngx.req.get_method()] then
        return answer(find(var.upstream_status or "", "504", 1, true) and 504 or 502, "unanswered")
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
