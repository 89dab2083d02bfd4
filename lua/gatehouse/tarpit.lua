-- Who goes on after many refusals waits for each further one: to refuse costs
-- little, but a caller who never pauses gets a thousand of them a second, and
-- others wait behind. An honest client comes back after Retry-After and meets
-- none of it. Nothing else is refused, nor anything let in, by this.

local floor = math.floor

local _M = {}
local mt = { __index = _M }

local free, window = 10, 10 -- refusals of one caller that are told at once, in so many seconds
local most = 1000           -- that begin to wait in one worker in the time of one wait: each holds a connection

-- wait is for how many seconds a refusal is held back; 0 for none.
function _M.new(dict, wait)
    if not dict then
        return nil, "no shared dictionary"
    end
    return setmetatable({ dict = dict, wait = wait, turn = 0, begun = 0 }, mt)
end

-- Counts a refusal of a caller at the time now, and says for how many seconds to
-- hold it back. A caller who leaves meanwhile gives no word of it, so what waits
-- is counted by when it began.
function _M:hold(caller, now)
    if self.wait == 0 or (caller or "") == "" then
        return 0
    end
    local count = self.dict:incr(caller, 1, 0, window)
    if not count or count <= free then -- one that cannot be counted is told at once
        return 0
    end
    local turn = floor(now / self.wait)
    if turn ~= self.turn then
        self.turn, self.begun = turn, 0
    end
    if self.begun >= most then
        return 0
    end
    self.begun = self.begun + 1
    return self.wait
end

return _M
