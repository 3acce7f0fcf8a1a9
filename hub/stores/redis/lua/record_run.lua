#!lua flags=allow-oom
-- needs: key
-- Keeps the last run of a schedule, unless one was recorded with a higher fencing token.
-- ARGV: name, run, token.
-- Reply: 1, or 0 when nothing was kept: another process has led since the run began.
--
--   schedules, schedule-tokens  hashes by name

local name, run, token = ARGV[1], ARGV[2], ARGV[3]
local tokens = key.schedule_tokens

local former = redis.call('HGET', tokens, name)
if former and tonumber(former) > tonumber(token) then return 0 end
redis.call('HSET', tokens, name, token)
redis.call('HSET', key.schedules, name, run)
return 1
