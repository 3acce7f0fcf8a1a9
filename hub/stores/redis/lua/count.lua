-- needs: key, selection
-- Counts the deliveries that a query selects.
-- ARGV: wanted, as lib/selection.lua has it (msgpack); ids of deliveries.
-- Reply: lane, status and how many, in turn.

local is_wanted = selection.of(cmsgpack.unpack(ARGV[1]))

local counts, reply = {}, {}
for place = 2, #ARGV do
  local delivery = key.delivery(ARGV[place])
  if is_wanted(delivery) then
    local lane, status = unpack(redis.call('HMGET', delivery, 'sub', 'st'), 1, 2)
    counts[lane] = counts[lane] or {}
    counts[lane][status] = (counts[lane][status] or 0) + 1
  end
end
for lane, by_status in pairs(counts) do
  for status, count in pairs(by_status) do
    for _, part in ipairs({ lane, status, count }) do reply[#reply + 1] = part end
  end
end
return reply
