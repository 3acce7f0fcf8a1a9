-- needs: key, clock
-- Reads which leases are held.
-- Reply: their names.

return redis.call('ZRANGEBYSCORE', key.leases, string.format('(%d', clock.now), '+inf')
