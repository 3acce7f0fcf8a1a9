#!lua flags=allow-oom
-- needs: key, gate, ready, claims
-- Takes over deliveries whose lease has run out, because their process died or was cut off: a new token, a new lease,
-- nothing else. The new token fences the former owner, should it still be alive.
--
-- ARGV: now (ms), process, new lease end (ms), limit, 1 to take also leases that have not run out.
-- Reply: rows and events as in lib/claims.lua.

local now, process, lease_end, limit = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local horizon = ARGV[5] == '1' and '+inf' or now

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
    if take_over(lane, id) then gate.renewed(lane, id, lease_end) else gate.dropped(lane, id) end
  end
  gate.tidy(lane)
  if #claims.rows >= limit then break end
end
return { claims.rows, claims.events }
