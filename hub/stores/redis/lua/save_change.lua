#!lua flags=allow-oom
-- needs: key
-- Writes a change to the deliveries of an event, or removes it.
-- ARGV: its id, its document ('' to remove it).

if ARGV[2] == '' then
  redis.call('HDEL', key.changes, ARGV[1])
else
  redis.call('HSET', key.changes, ARGV[1], ARGV[2])
end
