local recent = require("gatehouse.recent")

local function entry(expires)
    return { expires = expires }
end

describe("what a worker keeps for a moment", function()
    it("comes back until its own end, however often it is asked for", function()
        local r, e = recent.new(2, 1000), entry(101.5)
        r:set("k", e, 100)
        for now = 100, 101.4, 0.1 do
            assert.equal(e, r:get("k", now))
        end
        assert.is_nil(r:get("k", 101.5))
        assert.is_nil(r:get("other", 100))
    end)

    it("is let go, expired or not, after two generations", function()
        local r = recent.new(2, 1000)
        r:set("k", entry(1000), 100)
        assert.is_not_nil(r:get("k", 102))
        assert.is_nil(r:get("k", 104))
        assert.is_nil(r.young.k or r.old.k)
    end)

    it("is let go whole after a pause", function()
        local r = recent.new(2, 1000)
        r:set("k", entry(1000), 100)
        assert.is_nil(r:get("k", 105))
        assert.is_nil(r.young.k or r.old.k)
    end)

    it("never grows past two generations", function()
        local r = recent.new(2, 1000)
        for i = 1, 100 do
            r:set(("k"):rep(99) .. i, entry(1000), 100)
        end
        local bytes = 0
        for _, generation in ipairs { r.young, r.old } do
            for key in pairs(generation) do
                bytes = bytes + #key
            end
        end
        assert.is_true(bytes <= 2 * (1000 + 102))
        assert.is_not_nil(r:get(("k"):rep(99) .. 100, 100))
    end)
end)
