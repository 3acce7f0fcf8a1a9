#!lua flags=allow-oom
-- needs: key, feed
-- Removes the oldest feed entries, from the front only, so that no hole is left.
-- ARGV: those written before this (ms); all but so many of the newest; how many at most.
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
-- What a server lost was above what it has: all up to `trimmed` stays gone.
local trimmed = math.max(last, tonumber(redis.call('HGET', key.meta, 'trimmed') or 0))
redis.call('HSET', key.meta, 'trimmed', string.format('%d', trimmed))
return redis.call('XTRIM', key.feed, 'MINID', string.format('%d-0', last + 1))
