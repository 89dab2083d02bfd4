-- A rate for each user, by the generic cell rate algorithm: one number for each
-- key, the theoretical arrival time of the next call. Two workers that ask in
-- the same microsecond may both be let in; the excess is one call a worker.

local ceil, floor, max = math.ceil, math.floor, math.max

local _M = {}
local mt = { __index = _M }

-- A millisecond, so that the rounding of seconds since 1970 costs nobody a call.
local slack = 0.001

-- rate is calls a second, burst how many may come at once beyond it, and
-- patience for how many seconds a call that comes too early may wait its turn.
function _M.new(dict, rate, burst, patience)
    if not dict then
        return nil, "no shared dictionary"
    end
    local interval = 1 / rate
    local tolerance = burst * interval + slack
    return setmetatable({
        dict = dict, interval = interval, tolerance = tolerance, patience = patience,
        most = tolerance + patience + interval, -- as far ahead as calls can bring a key
    }, mt)
end

-- Takes one call of key at the time now (seconds). Returns whether it may pass,
-- how many more may come at once, the seconds until the next may (refused) or
-- until all may (passed), and the seconds that this one must wait before.
function _M:take(key, now)
    local arrival = max(self.dict:get(key) or 0, now)
    if arrival - now > self.most + slack then
        arrival = now -- no call comes to that: the clock was set back
    end
    local early = arrival - now - self.tolerance
    if early > self.patience then
        return false, 0, ceil(early)
    end
    local next_arrival = arrival + self.interval
    self.dict:set(key, next_arrival, self.most + 1)
    local left = floor((self.tolerance - (next_arrival - now)) / self.interval + 1)
    return true, max(left, 0), ceil(next_arrival - now), max(early, 0)
end

return _M
