-- needs: key
-- Keeps what a process tells of itself, and forgets the reports whose time is up: most are of processes that ended.
-- ARGV: now (ms), the name of the process, 13 digits of the report's end (ms) and the report.

local reports = key.reports
local kept = redis.call('HGETALL', reports)
for i = 1, #kept, 2 do
  if tonumber(string.sub(kept[i + 1], 1, 13)) <= tonumber(ARGV[1]) then redis.call('HDEL', reports, kept[i]) end
end
redis.call('HSET', reports, ARGV[2], ARGV[3])
