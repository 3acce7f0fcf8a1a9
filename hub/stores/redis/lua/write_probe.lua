-- needs: key
-- Writes a value that is there already, to see whether the server accepts writes. It has no flag, so it is refused like
-- a publish when memory is full.

redis.call('HINCRBY', key.meta, 'touched', 0)
