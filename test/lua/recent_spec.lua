local recent = require("gatehouse.recent")

local function entry(expires)
    return { expires = expires }
end

describe("what a worker keeps for a moment", function()
    it("comes back until its own end, however often it is asked for", function()
        local r, e = recent.new(2, 10), entry(101.5)
        r:set("k", e, 100)
        for now = 100, 101.4, 0.1 do
            assert.equal(e, r:get("k", now))
        end
        assert.is_nil(r:get("k", 101.5))
        assert.is_nil(r:get("other", 100))
    end)

    it("is let go, expired or not, after two generations", function()
        local r = recent.new(2, 10)
        r:set("k", entry(1000), 100)
        assert.is_not_nil(r:get("k", 102))
        assert.is_nil(r:get("k", 104))
        assert.is_nil(r.young.k or r.old.k)
    end)

    it("is let go whole after a pause", function()
        local r = recent.new(2, 10)
        r:set("k", entry(1000), 100)
        assert.is_nil(r:get("k", 105))
        assert.is_nil(r.young.k or r.old.k)
    end)

    it("never grows past two generations", function()
        local r = recent.new(2, 10)
        for i = 1, 100 do
            r:set("k" .. i, entry(1000), 100)
        end
        local n = 0
        for _, generation in ipairs { r.young, r.old } do
            for _ in pairs(generation) do
                n = n + 1
            end
        end
        assert.is_true(n <= 20)
        assert.is_not_nil(r:get("k100", 100))
    end)
end)
