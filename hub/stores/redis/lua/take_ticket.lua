-- Gives a ticket as it was put, once.
-- ARGV: digest.

return redis.call('GETDEL', KEYS[1] .. ':ticket:' .. ARGV[1])
