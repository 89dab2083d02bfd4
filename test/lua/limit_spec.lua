local support = require("support")
local limit = support.load("limit", support.ngx())

describe("the rate of a user", function()
    it("lets a burst and one more through, then says how long to wait", function()
        local l = limit.new(support.dict(), 5, 10, 0)
        for i = 1, 11 do
            local pass, left = l:take("alice", 100)
            assert.is_true(pass)
            assert.equal(11 - i, left)
        end
        local pass, left, wait = l:take("alice", 100)
        assert.is_false(pass)
        assert.equal(0, left)
        assert.equal(1, wait)
    end)

    it("lets the rate through for ever", function()
        local l = limit.new(support.dict(), 5, 0, 0)
        for i = 0, 99 do
            assert.is_true((l:take("alice", 100 + i / 5 + i * 1e-9)))
        end
    end)

    it("counts each user alone", function()
        local l = limit.new(support.dict(), 1, 0, 0)
        assert.is_true((l:take("alice", 100)))
        assert.is_true((l:take("bob", 100)))
        assert.is_false((l:take("alice", 100)))
    end)

    it("does not count a refused call", function()
        local l = limit.new(support.dict(), 1, 0, 0)
        l:take("alice", 100)
        for _ = 1, 50 do
            l:take("alice", 100.5)
        end
        assert.is_true((l:take("alice", 101)))
    end)

    it("keeps a key no longer than it matters", function()
        local dict = support.dict()
        limit.new(dict, 5, 10, 0):take("alice", 100)
        assert.is_true(dict.ttls.alice < 10 / 5 + 1 / 5 + 1.1)
    end)

    it("locks nobody out when the clock is set back", function()
        local l = limit.new(support.dict(), 1, 0, 0)
        assert.is_true((l:take("alice", 4000)))
        assert.is_true((l:take("alice", 400)))
        assert.is_false((l:take("alice", 400)))
    end)

    it("lets an early call wait its turn, and says how long", function()
        local l = limit.new(support.dict(), 5, 10, 3)
        for _ = 1, 11 do
            local _, _, _, wait = l:take("alice", 100)
            assert.equal(0, wait)
        end
        for i = 1, 15 do
            local pass, left, _, wait = l:take("alice", 100)
            assert.is_true(pass)
            assert.equal(0, left)
            assert.is_true(math.abs(wait - i / 5) < 0.002)
        end
        local pass, _, retry = l:take("alice", 100)
        assert.is_false(pass) -- nobody waits longer than that
        assert.equal(4, retry)
        assert.is_true((l:take("alice", 100.2))) -- and a refused call took nobody's turn
    end)

    it("needs a dictionary", function()
        local l, err = limit.new(nil, 5, 10, 0)
        assert.is_nil(l)
        assert.equal("no shared dictionary", err)
    end)
end)
