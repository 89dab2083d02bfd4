local support = require("support")
local verdict = support.load("verdict", support.ngx())

describe("a remembered verdict", function()
    local function new(ttl)
        local dict = support.dict()
        return verdict.new(dict, "secret", ttl), dict
    end

    it("comes back as it was stored", function()
        local v = new(2)
        local key = v:key("Bearer t", "")
        v:remember(key, { "u", "a@b", "" }, "private, max-age=60")
        assert.equal("u\na@b\n", v:recall(key))
        assert.is_nil(v:recall(v:key("Bearer other", "")))
    end)

    it("lives no longer than the assertion, nor than the site says", function()
        for cache_control, ttl in pairs { ["private, max-age=60"] = 2, ["max-age=1"] = 1 } do
            local v, dict = new(2)
            v:remember("k", { "u" }, cache_control)
            assert.equal(ttl, dict.ttls.k)
        end
    end)

    it("is not stored without authsvc's word", function()
        for _, cache_control in ipairs { "", "no-store", "max-age=0", "max-age=x" } do
            local v = new(2)
            v:remember("k", { "u" }, cache_control)
            assert.is_nil(v:recall("k"))
        end
    end)

    it("has no key where it is turned off or nobody said who calls", function()
        assert.is_nil((new(0)):key("Bearer t", ""))
        assert.is_nil((new(2)):key("", ""))
    end)

    it("keeps a header and a cookie apart", function()
        local v = new(2)
        assert.not_equal(v:key("ab", "c"), v:key("a", "bc"))
    end)
end)
