local support = require("support")

local function language(cookie, accept)
    local var = { gatehouse_cookie = cookie, http_accept_language = accept }
    return support.load("page", support.ngx(var)).language(var)
end

describe("a page of the edge", function()
    it("is in the language of the switch, else the browser's", function()
        assert.equal("en", language())
        assert.equal("ko", language(nil, "ko-KR,ko;q=0.9,en;q=0.8"))
        assert.equal("ko", language("", "fr, en;q=0.3, ko;q=0.5"))
        assert.equal("en", language(nil, "ko;q=0"))
        assert.equal("en", language(nil, ("x,"):rep(10000) .. "ko"))
        assert.equal("ko", language("a=b; gatehouse_lang=ko", "en"))
        assert.equal("en", language("xgatehouse_lang=ko", "en"))
        assert.equal("ko", language("gatehouse_lang=xx", "ko"))
    end)

    it("is for a browser that goes somewhere, and for no client", function()
        local cases = {
            [{ http_accept = "text/html,*/*" }] = true,
            [{ http_accept = "text/html", http_sec_fetch_mode = "navigate" }] = true,
            [{ http_accept = "text/html", http_sec_fetch_mode = "cors" }] = false,
            [{ http_accept = "text/html, text/event-stream" }] = false,
            [{ http_accept = "application/json" }] = false,
            [{}] = false,
        }
        for var, want in pairs(cases) do
            assert.equal(want, support.load("page", support.ngx(var)).wanted())
            assert.is_false(support.load("page", support.ngx(var, "POST")).wanted())
        end
    end)

    it("says what happened, what to do, and the request's id", function()
        for status, link in pairs { [403] = "/team-a/", [404] = "/", [421] = false, [429] = "/", [503] = "/" } do
            local ngx = support.ngx { request_id = "0123abcd", http_accept_language = "ko" }
            local text = support.load("page", ngx).of(status, link or nil)
            assert.is_truthy(text:find('<html lang="ko">', 1, true))
            assert.is_truthy(text:find("<code>0123abcd</code>", 1, true))
            assert.equal(link and true or false, text:find('<a class="button" href="' .. tostring(link) .. '">', 1, true) ~= nil)
            assert.is_falsy(text:find("nil", 1, true))
            assert.is_truthy(ngx.header["Content-Security-Policy"]:find("style-src 'sha256-", 1, true))
        end
    end)
end)
