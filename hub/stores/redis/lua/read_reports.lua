-- needs: key, clock
-- Reads what processes tell of themselves.
-- Reply: names and reports in turn, of those whose time is not up.

local told = {}
local kept = redis.call('HGETALL', key.reports)
for i = 1, #kept, 2 do
  if tonumber(string.sub(kept[i + 1], 1, 13)) > clock.now then
    told[#told + 1] = kept[i]
    told[#told + 1] = string.sub(kept[i + 1], 14)
  end
end
return told
