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

    it("is a lost session only where its node cannot be reached", function()
        assert.equal(404, answered("unavailable", { gatehouse_node = "b", upstream_connect_time = "-" }).status)
        assert.equal(503, answered("unavailable", { gatehouse_node = "b", upstream_connect_time = "0.001" }).status)
        assert.equal(503, answered("unavailable", { gatehouse_node = "", upstream_connect_time = "-" }).status)
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
