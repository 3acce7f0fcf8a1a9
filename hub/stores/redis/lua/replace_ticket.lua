#!lua flags=allow-oom
-- needs: key
-- Keeps something else of a stream ticket, where the former is what is kept.
-- ARGV: now (ms), after how much real time to forget it (ms), digest, the former, the string to keep (see put_ticket.lua).
-- Reply: 1, or 0 when nothing was changed.

local now, forgotten, digest, former, following = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ticket = key.ticket(digest)

local present = redis.call('GET', ticket)
if not present then return 0 end
-- The same call again, because its answer was lost.
if present == following then return 1 end
if tonumber(string.sub(present, 1, 13)) <= now or string.sub(present, 14) ~= former then return 0 end
redis.call('SET', ticket, following, 'PX', forgotten)
return 1
