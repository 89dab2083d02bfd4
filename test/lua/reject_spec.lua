local support = require("support")

-- faked is an ngx with what the module needs of nginx.
local function faked(var, method)
    local ngx = support.ngx(var, method)
    ngx.shared.gatehouse_refused = support.dict()
    ngx.now = function() return 100 end
    package.loaded["gatehouse.init"] = { refusal_wait = 0.5 }
    return ngx
end

local function answered(fn, var, method)
    local ngx = faked(var, method)
    support.load("reject", ngx)[fn]()
    return ngx
end

describe("a refusal", function()
    it("has the status that authsvc could not say", function()
        for status, want in pairs { ["429"] = 429, ["503"] = 503 } do
            local ngx = answered("unauthorized", { gatehouse_auth_status = status, gatehouse_auth_retry = "7" })
            assert.equal(want, ngx.status)
            assert.equal("7", ngx.header["Retry-After"])
            assert.is_nil(ngx.header["WWW-Authenticate"])
        end
    end)

    it("sends a browser's navigation to the login, below the prefix", function()
        local browser = { http_accept = "text/html", gatehouse_prefix = "/team-a", gatehouse_below = "", request_uri = "/mcp?x=1" }
        local ngx = answered("unauthorized", browser)
        assert.equal("/team-a/login?return_to=/team-a/mcp?x=1", ngx.redirected)
        assert.equal(302, ngx.status)
        -- A gate below a path of this very nginx, and a proxy that takes a path away in front of it.
        browser.gatehouse_prefix, browser.gatehouse_below, browser.request_uri = "/eu", "/team-a", "/team-a/mcp"
        assert.equal("/eu/team-a/login?return_to=/eu/team-a/mcp", answered("unauthorized", browser).redirected)
    end)

    it("sends nobody else there", function()
        local cases = {
            { { http_accept = "application/json" }, "GET" },
            { { http_accept = "text/html", http_sec_fetch_mode = "cors" }, "GET" },
            { { http_accept = "text/html" }, "POST" },
        }
        for _, case in ipairs(cases) do
            case[1].gatehouse_challenge = "Bearer x"
            local ngx = answered("unauthorized", case[1], case[2])
            assert.equal(401, ngx.status)
            assert.equal("Bearer x", ngx.header["WWW-Authenticate"])
        end
    end)

    it("says what authsvc says is missing, and shows a person the page of it", function()
        local var = function(more)
            more.gatehouse_prefix, more.gatehouse_below = "", "/team-a"
            more.gatehouse_challenge = 'Bearer error="insufficient_role", error_description="The role mcp-user is missing. Ask x."'
            return more
        end
        local ngx = answered("forbidden", var { http_accept = "application/json" })
        assert.equal(403, ngx.status)
        assert.equal('{"error": "Forbidden", "message": "The role mcp-user is missing. Ask x."}', ngx.said[1])
        ngx = answered("forbidden", var { http_accept = "text/html" })
        assert.equal("/team-a/account/denied", ngx.redirected)
        ngx = answered("forbidden", { http_accept = "text/html", gatehouse_challenge = 'Bearer error="insufficient_scope"' })
        assert.equal(403, ngx.status)
        assert.is_nil(ngx.redirected)
    end)

    it("is held back of who goes on, by user or by address", function()
        for limit, caller in pairs { user = "alice", address = "10.0.0.1" } do
            local ngx = faked { gatehouse_limit = limit, gatehouse_user = "alice", gatehouse_neighbours = "10.0.0.1" }
            local slept = 0
            ngx.sleep = function(seconds) slept = slept + seconds end
            local reject = support.load("reject", ngx)
            for _ = 1, 12 do
                reject.limited()
                assert.equal(429, ngx.status)
            end
            assert.equal(1, slept)
            assert.equal("0.500", ngx.var.gatehouse_waited)
            assert.equal(12, ngx.shared.gatehouse_refused.values[caller])
        end
    end)

    -- tried is an ngx whose node was tried at some addresses, and whose own try of each says why it fails.
    local function tried(more, whys)
        local var = { gatehouse_node = "b", upstream_connect_time = "-", upstream_status = "502" }
        var.upstream_addr = "127.0.0.1:3000"
        for name, value in pairs(more) do
            var[name] = value
        end
        local ngx, asked = faked(var, "POST"), 0
        ngx.socket = { tcp = function()
            return { settimeout = function() end, close = function() end, connect = function()
                asked = asked + 1
                return whys[asked] == "ok" or nil, whys[asked]
            end }
        end }
        support.load("reject", ngx).unavailable()
        return ngx.status
    end

    it("is a lost session only where nobody listens at any address of its node", function()
        local refused = "connection refused"
        assert.equal(404, tried({}, { refused }))
        assert.equal(404, tried({ upstream_addr = "unix:/run/b.sock" }, { "No such file or directory" }))
        local two = { upstream_connect_time = "-, -", upstream_status = "502, 502", upstream_addr = "127.0.0.1:1, [::1]:1" }
        assert.equal(404, tried(two, { refused, refused }))
        assert.equal(503, tried(two, { refused, "cannot assign requested address" }))
        assert.equal(503, tried({ upstream_status = "504" }, { refused }))
        assert.equal(503, tried({ upstream_status = "-" }, { refused }))
        assert.equal(503, tried({ upstream_addr = "unix:/run/b.sock" }, { "resource temporarily unavailable" }))
        assert.equal(503, tried({ upstream_addr = "gatehouse_node_b" }, { refused }))
        assert.equal(503, tried({}, { "ok" })) -- it is back
        assert.equal(503, tried({ gatehouse_node = "" }, { refused }))
    end)

    -- 503 asks for the call again; what a part behind had may have run.
    it("of a call that was taken does not ask for it again", function()
        local took = { upstream_connect_time = "-, 0.001", upstream_status = "502, 502", gatehouse_node = "b" }
        for status, var in pairs {
            [502] = took,
            [504] = { upstream_connect_time = "0.001", upstream_status = "504" },
        } do
            local ngx = answered("unavailable", var, "POST")
            assert.equal(status, ngx.status)
            assert.is_nil(ngx.header["Retry-After"])
            assert.matches("temporarily unavailable. Please try again later. The call may have run.", ngx.said[1], 1, true)
            assert.is_nil(string.find(ngx.said[1], "safe_to_retry", 1, true))
        end
        for method, var in pairs { GET = took, DELETE = took, POST = { upstream_connect_time = "-", upstream_status = "502" } } do
            local ngx = answered("unavailable", var, method)
            assert.equal(503, ngx.status)
            assert.equal("5", ngx.header["Retry-After"])
            assert.matches('"safe_to_retry": true', ngx.said[1], 1, true)
        end
    end)

    -- What the name server says: nothing is answered by it but the difference
    -- between a name that is gone and a server that does not answer.
    it("is a lost session where the name servers know no such node", function()
        for said, want in pairs {
            ["bridge-7.bridge could not be resolved (3: Host not found)"] = 404,
            ["bridge-7.bridge could not be resolved (110: Operation timed out)"] = 503,
            ["connection refused"] = 503,
        } do
            local ngx = faked { gatehouse_node = "bridge-7", gatehouse_bridge = "bridge-7.bridge:3000" }
            ngx.socket = { tcp = function()
                return { settimeout = function() end, connect = function() return nil, said end }
            end }
            support.load("reject", ngx).unavailable()
            assert.equal(want, ngx.status)
        end
    end)
end)
