-- needs: key, clock
-- Reads what processes tell of themselves.
-- Reply: of each report whose time is not up, the name of the process and the report in turn.

local reply, kept = {}, redis.call('HGETALL', key.reports)
for i = 1, #kept, 2 do
  if tonumber(string.sub(kept[i + 1], 1, 13)) > clock.now then
    reply[#reply + 1] = kept[i]
    reply[#reply + 1] = string.sub(kept[i + 1], 14)
  end
end
return reply
