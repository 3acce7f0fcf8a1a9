-- needs: key
-- Keeps a stream ticket: a string of 13 digits of its expiry (ms) and the holder.
-- ARGV: digest, expiry and holder, after how much real time to forget it (ms).

redis.call('SET', key.ticket(ARGV[1]), ARGV[2], 'PX', ARGV[3])
