-- needs: key
-- Keeps a stream ticket: a string of 13 digits of its expiry (ms) and what is kept of it.
-- ARGV: digest, this string, after how much real time to forget it (ms).

redis.call('SET', key.ticket(ARGV[1]), ARGV[2], 'PX', ARGV[3])
