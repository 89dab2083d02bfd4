local support = require("support")
local tarpit = support.load("tarpit", support.ngx())

local function held(pit, caller, times, now)
    local n = 0
    for _ = 1, times do
        if pit:hold(caller, now or 100) > 0 then
            n = n + 1
        end
    end
    return n
end

describe("who is refused again and again", function()
    it("is told ten times at once, and waits for each further time", function()
        local pit = tarpit.new(support.dict(), 0.5)
        assert.equal(0, held(pit, "mallory", 10))
        assert.equal(0.5, pit:hold("mallory", 100))
        assert.equal(5, held(pit, "mallory", 5))
    end)

    it("is counted alone, and for ten seconds", function()
        local dict = support.dict()
        local pit = tarpit.new(dict, 0.5)
        held(pit, "mallory", 50)
        assert.equal(0, held(pit, "alice", 10))
        assert.equal(10, dict.ttls.mallory)
    end)

    it("does not hold more than a worker can carry", function()
        local pit = tarpit.new(support.dict(), 0.5)
        assert.equal(1000, held(pit, "mallory", 5000))
        assert.equal(1000, held(pit, "mallory", 5000, 100.5)) -- those have gone
    end)

    it("is told at once where waiting is off, or nobody knows who it is", function()
        assert.equal(0, held(tarpit.new(support.dict(), 0), "mallory", 50))
        assert.equal(0, held(tarpit.new(support.dict(), 0.5), "", 50))
        assert.equal(0, held(tarpit.new(support.dict(), 0.5), nil, 50))
    end)
end)
