-- needs: key
-- Writes what is there already, to see whether writes are taken.

redis.call('HINCRBY', key.meta, 'touched', 0)
