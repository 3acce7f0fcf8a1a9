-- needs: key, clock
-- Reads what loss.lua found.
-- ARGV: for how long a loss is shown (ms).
-- Reply: how many feed entries are gone, and when that was noticed (ms); or nil.

local lost, lost_at = unpack(redis.call('HMGET', key.meta, 'lost', 'lost_at'), 1, 2)
if lost and clock.now - lost_at <= tonumber(ARGV[1]) then return { tonumber(lost), tonumber(lost_at) } end
