#!lua flags=allow-oom
-- needs: key, feed
-- Removes the oldest feed entries. Only from the front: an entry that looks old because a clock was set back must not
-- leave a gap among those that stay, since readers take every id between `trimmed` and the last one for readable.
-- ARGV: those written before this (ms); all but this many of the newest; how many at most.
-- Reply: how many.

local before, keep, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]

local surplus = feed.last() - keep
local last
for _, row in ipairs(redis.call('XRANGE', key.feed, '-', '+', 'COUNT', limit)) do
  local id = tonumber(string.match(row[1], '^%d+'))
  if tonumber(row[2][2]) >= before and id > surplus then break end
  last = id
end
if not last then return 0 end
-- After a loss, `trimmed` is above the entries that are left; it must not go down and promise the lost ones again.
local trimmed = math.max(last, tonumber(redis.call('HGET', key.meta, 'trimmed') or 0))
redis.call('HSET', key.meta, 'trimmed', string.format('%d', trimmed))
return redis.call('XTRIM', key.feed, 'MINID', string.format('%d-0', last + 1))
