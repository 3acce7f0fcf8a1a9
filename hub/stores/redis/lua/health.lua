-- needs: key, clock
-- Reads the health of the targets of lanes.
-- ARGV: lanes.
-- Reply: for each lane its failures in a row; and for how long (ms) its breaker stays open, 0 when it is half open, -1
--   when it is closed.

local reply = {}
for _, lane in ipairs(ARGV) do
  local failures, open_until = unpack(redis.call('HMGET', key.gate(lane), 'failures', 'open_until'), 1, 2)
  reply[#reply + 1] = tonumber(failures or 0)
  reply[#reply + 1] = open_until and math.max(math.floor(open_until * 1000 + 0.5) - clock.now, 0) or -1
end
return reply
