#!lua flags=allow-oom
-- needs: key
-- Gives stream tickets another time, where what is kept of them has not changed.
-- ARGV: now (ms), after how much real time to forget them (ms), 13 digits of the time (ms), then each digest and what is
--   kept in turn.
-- Reply: the digests of those that have the new time.

local now, forgotten, ends = tonumber(ARGV[1]), ARGV[2], ARGV[3]

local extended = {}
for place = 4, #ARGV, 2 do
  local digest, kept = ARGV[place], ARGV[place + 1]
  local present = redis.call('GET', key.ticket(digest))
  if present and tonumber(string.sub(present, 1, 13)) > now and string.sub(present, 14) == kept then
    redis.call('SET', key.ticket(digest), ends .. kept, 'PX', forgotten)
    extended[#extended + 1] = digest
  end
end
return extended
