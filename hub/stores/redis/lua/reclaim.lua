#!lua flags=allow-oom
-- needs: key, clock, gate, ready, claims
-- Takes over deliveries whose lease has run out, because their process died or was cut off: a new token, a new lease,
-- nothing else. The new token fences the former owner, should it still be alive.
--
-- ARGV: process, new lease (ms), limit, 1 to take also leases that have not run out.
-- Reply: rows and events as in lib/claims.lua.

local process, lease, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local horizon = ARGV[4] == '1' and '+inf' or clock.now

local function take_over(lane, id)
  local delivery = claims.read(id)
  if not delivery or delivery.st ~= 'sending' then return false end
  delivery.tok = delivery.tok + 1
  redis.call('HSET', key.delivery(id), 'tok', delivery.tok)
  if delivery.place then ready.hand_over(lane, delivery.place, process) end
  claims.add(delivery)
  return true
end

for _, lane in ipairs(gate.lanes_leased(horizon)) do
  for _, id in ipairs(gate.leased(lane, horizon, limit - #claims.rows)) do
    -- A lease of a delivery that is not under way any more was left behind, and is dropped.
    if take_over(lane, id) then gate.renewed(lane, id, lease) else gate.dropped(lane, id) end
  end
  gate.tidy(lane)
  if #claims.rows >= limit then break end
end
return { claims.rows, claims.events }
