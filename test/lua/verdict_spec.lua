local support = require("support")
local verdict = support.load("verdict", support.ngx())

describe("a remembered verdict", function()
    local function ask(v, authorization, cookie)
        return v:question("h", "authsvc", "/mcp", authorization, cookie)
    end

    local function new(ttl, dict)
        dict = dict or support.dict()
        return verdict.new(dict, "secret", ttl), dict
    end

    it("comes back as it was stored, to this worker and to others", function()
        local here, dict = new(2)
        local there = new(2, dict)
        local caller = ask(here, "Bearer t", "")
        here:remember(caller, { "u", "a@b", "" }, "private, max-age=60", 100)
        for _, v in ipairs { here, there, there } do
            local fields = v:recall(caller, 101)
            assert.same({ "u", "a@b", "" }, { unpack(fields) })
            assert.equal(102, fields.expires)
            assert.is_nil(v:recall(ask(v, "Bearer other", ""), 101))
        end
    end)

    it("ends for all workers at the time that was set when it was made", function()
        local here, dict = new(2)
        local there = new(2, dict)
        here:remember("c", { "u" }, "max-age=60", 100)
        assert.is_not_nil(there:recall("c", 101.9))
        assert.is_nil(there:recall("c", 102))
        assert.is_nil(here:recall("c", 102))
    end)

    it("does not outlive its seconds when the clock is set back", function()
        local here, dict = new(2)
        local there = new(2, dict)
        here:remember("c", { "u" }, "max-age=60", 4000)
        assert.is_nil(here:recall("c", 400))
        assert.is_nil(there:recall("c", 400))
        assert.is_not_nil(here:recall("c", 4001))
    end)

    it("lives no longer than the assertion, nor than the site says", function()
        for cache_control, ttl in pairs { ["private, max-age=60"] = 2, ["max-age=1"] = 1 } do
            local v, dict = new(2)
            v:remember("c", { "u" }, cache_control, 100)
            assert.equal(ttl, dict.ttls["secret|c"])
            assert.equal(100 + ttl, v:recall("c", 100).expires)
        end
    end)

    it("is not stored without authsvc's word", function()
        for _, cache_control in ipairs { "", "no-store", "max-age=0", "max-age=x" } do
            local v = new(2)
            v:remember("c", { "u" }, cache_control, 100)
            assert.is_nil(v:recall("c", 100))
        end
    end)

    it("shares no credential between workers, only its keyed hash", function()
        local v, dict = new(2)
        v:remember(ask(v, "Bearer t", ""), { "u" }, "max-age=60", 100)
        for key, text in pairs(dict.values) do
            assert.equal("secret|", key:sub(1, 7)) -- the stand-in's hash
            assert.is_nil(text:find("Bearer", 1, true))
        end
    end)

    it("has no key where it is turned off or nobody said who calls", function()
        assert.is_nil(ask(new(0), "Bearer t", ""))
        assert.is_nil(ask(new(2), "", ""))
    end)

    it("keeps a header and a cookie apart", function()
        local v = new(2)
        assert.not_equal(ask(v, "ab", "c"), ask(v, "a", "bc"))
    end)

    it("is one host's, one authsvc's and one resource's", function()
        local v, seen = new(2), {}
        for _, parts in ipairs {
            { "h", "a", "/mcp", "Bearer t", "" }, { "i", "a", "/mcp", "Bearer t", "" },
            { "h", "b", "/mcp", "Bearer t", "" }, { "h", "a", "/sse", "Bearer t", "" },
            { "h", "a", "/mcp8:Bearer t", "", "x" }, { "h", "a", "/mcp", "8:Bearer t", "x" },
        } do
            local question = v:question(unpack(parts))
            assert.is_nil(seen[question])
            seen[question] = true
        end
    end)
end)
