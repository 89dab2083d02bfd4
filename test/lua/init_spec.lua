local support = require("support")

describe("the values of site/limits.conf", function()
    local init

    before_each(function()
        package.loaded["gatehouse.guard"] = {} -- it needs a running nginx
        init = support.load("init", support.ngx())
    end)

    it("are taken, and a verdict lives two seconds at most", function()
        init.setup { user_rate = 5, user_burst = 10, verdict_ttl = 60 }
        assert.equal(5, init.user_rate)
        assert.equal(10, init.user_burst)
        assert.equal(2, init.verdict_ttl)
        assert.equal(3, init.user_wait) -- a file of before it was there
        assert.equal(0.5, init.refusal_wait) -- as above
        assert.equal(32, #init.secret)
    end)

    it("stop nginx where one is wrong, and name it", function()
        for name, values in pairs {
            user_rate = { user_rate = 0, user_burst = 10, verdict_ttl = 2 },
            user_burst = { user_rate = 5, user_burst = -1, verdict_ttl = 2 },
            verdict_ttl = { user_rate = 5, user_burst = 10, verdict_ttl = "2" },
            user_wait = { user_rate = 5, user_burst = 10, verdict_ttl = 2, user_wait = 31 },
            refusal_wait = { user_rate = 5, user_burst = 10, verdict_ttl = 2, refusal_wait = 6 },
            user_rates = { user_rate = 5, user_rates = 5, user_burst = 10, verdict_ttl = 2 },
        } do
            local ok, err = pcall(init.setup, values)
            assert.is_false(ok)
            assert.truthy(err:find(name, 1, true))
        end
    end)
end)
