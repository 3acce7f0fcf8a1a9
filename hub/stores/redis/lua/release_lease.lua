#!lua flags=allow-oom
-- needs: key
-- Gives a right back.
-- ARGV: name, holder.

local lease = key.lease(ARGV[1])
if redis.call('HGET', lease, 'holder') == ARGV[2] then
  redis.call('DEL', lease)
  redis.call('ZREM', key.leases, ARGV[1])
end
