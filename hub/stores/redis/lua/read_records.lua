-- needs: key
-- Reads records of the catalogue in the order of their versions.
-- ARGV: the place after which to begin (a member of record-versions, or the digits of a version and '\255'); how many.
-- Reply: the current version, epoch or '', the last feed id, then each member of record-versions and its document (''
--   for a deletion) in turn.
--
-- The version and the records must come from one script: a version read after the records could cover a write whose
-- records were not read, and no later refresh would ask for them.

local docs, versions = key.records, key.record_versions

local version, epoch, feed = unpack(redis.call('HMGET', key.meta, 'version', 'epoch', 'feed'))
local reply = { tonumber(version or 0), epoch or '', tonumber(feed or 0) }
for _, place in ipairs(redis.call('ZRANGEBYLEX', versions, '(' .. ARGV[1], '+', 'LIMIT', 0, ARGV[2])) do
  reply[#reply + 1] = place
  reply[#reply + 1] = string.sub(redis.call('HGET', docs, string.sub(place, 14)), 14)
end
return reply
