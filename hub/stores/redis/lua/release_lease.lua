#!lua flags=allow-oom
-- needs: key
-- Gives a lease back, if this holder has it.
-- ARGV: name, holder.

local lease = key.lease(ARGV[1])
if redis.call('HGET', lease, 'holder') == ARGV[2] then
  redis.call('DEL', lease)
  redis.call('ZREM', key.leases, ARGV[1])
end
