-- Writes what is there already, to see whether writes are taken.

redis.call('HINCRBY', KEYS[1] .. ':meta', 'touched', 0)
