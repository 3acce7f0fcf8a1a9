-- needs: key, clock
-- Keeps what a process tells of itself, and forgets the reports whose time is up: most are of processes that ended.
-- ARGV: the name of the process, the report, for how long (ms).

local reports = key.reports
local kept = redis.call('HGETALL', reports)
for i = 1, #kept, 2 do
  if tonumber(string.sub(kept[i + 1], 1, 13)) <= clock.now then redis.call('HDEL', reports, kept[i]) end
end
redis.call('HSET', reports, ARGV[1], string.format('%013d', clock.now + tonumber(ARGV[3])) .. ARGV[2])
