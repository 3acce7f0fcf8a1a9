#!lua flags=allow-oom
-- needs: key, clock
-- Acquires or renews a lease.
-- ARGV: name, holder, for how long (ms), after how much real time to forget it (ms).
-- Reply: the fencing token, or nil while another holds it.
--
--   lease:<name>  hash: holder, token, until (ms)
--   rights        sorted set of the names of all leases by until (ms)

local now, name, holder, span, forgotten = clock.now, ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local lease = key.lease(name)

local former, token, ends = unpack(redis.call('HMGET', lease, 'holder', 'token', 'until'), 1, 3)
local held = former and tonumber(ends) > now
if held and former ~= holder then return nil end
-- One counter for all leases. The former holder, too, gets a new token when it renews too late: a token stands for a
-- time in which the lease was held without a break.
if not held then token = redis.call('HINCRBY', key.meta, 'leases', 1) end
redis.call('HSET', lease, 'holder', holder, 'token', token, 'until', string.format('%d', now + span))
-- `until` decides, by the time that tests move. The expiry, by the server's own, only clears leases that nobody acquires again.
redis.call('PEXPIRE', lease, forgotten)
redis.call('ZREMRANGEBYSCORE', key.leases, '-inf', now)
redis.call('ZADD', key.leases, now + span, name)
return tonumber(token)
