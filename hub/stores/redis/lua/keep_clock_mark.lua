#!lua flags=allow-oom
-- needs: key
-- Keeps what was seen of clocks last.
-- ARGV: the mark, as hub/stores/clock_mark.py has it.

redis.call('SET', key.clock_mark, ARGV[1])
