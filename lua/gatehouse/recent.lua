-- What one worker needs again within moments: two generations of a table, of
-- which the older is dropped whole, so that nothing has to be looked for to be
-- forgotten, and many keys at once, or long ones, cost no more than twice the
-- bound.

local _M = {}
local mt = { __index = _M }

-- age is for how long (seconds) a generation is filled, most the bytes of its
-- keys.
function _M.new(age, most)
    return setmetatable({ age = age, most = most, bytes = 0, turn = 0, young = {}, old = {} }, mt)
end

local function turned(self, now)
    if now < self.turn and self.bytes < self.most then
        return
    end
    -- After a pause the younger is too old as well.
    self.old = now < self.turn + self.age and self.young or {}
    self.young, self.bytes, self.turn = {}, 0, now + self.age
end

-- The entry of key, a table that says in expires until when it holds, or nil.
function _M:get(key, now)
    turned(self, now)
    local entry = self.young[key] or self.old[key]
    if entry and entry.expires > now then
        return entry
    end
end

function _M:set(key, entry, now)
    turned(self, now)
    self.young[key], self.bytes = entry, self.bytes + #key
end

return _M
