-- needs: key
-- Gives a ticket as it was put, once.
-- ARGV: digest.

return redis.call('GETDEL', key.ticket(ARGV[1]))
