-- needs: key
-- Gives a stream ticket as it was put, once: reading and removing are one command.
-- ARGV: digest.

return redis.call('GETDEL', key.ticket(ARGV[1]))
