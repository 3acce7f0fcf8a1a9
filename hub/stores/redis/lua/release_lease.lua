#!lua flags=allow-oom
-- Gives a right back.
-- ARGV: name, holder.

local lease = KEYS[1] .. ':lease:' .. ARGV[1]
if redis.call('HGET', lease, 'holder') == ARGV[2] then
  redis.call('DEL', lease)
  redis.call('ZREM', KEYS[1] .. ':rights', ARGV[1])
end
