#!lua
-- needs: key, clock, calls, signals, indexes, matches, ready, new_delivery
-- Creates deliveries of events that fan out, and moves their cursors.
--
-- ARGV: process, number of the call, expansions (msgpack): arrays of tenant, event id, type, cursor before,
--   cursor after (nil: done), due (ms, or nil: now), deliveries: arrays of id, lane, channel,
--   expiry (ms, or nil).
-- Reply: for each 1, or 0 where the cursor had moved, because another process expands the same event or cancelled it.

local now, process, number = clock.now, ARGV[1], ARGV[2]
local answer = calls.answered(process, 'expand', number)
if answer then return answer end

local function expand(expansion)
  local tenant, id, type, before, after, due, deliveries, expires = unpack(expansion, 1, 8)
  local state = key.state(id)
  if redis.call('HGET', state, 'fan') ~= before then return 0 end
  -- Counted before they are added: between two steps of a fan-out, `open` must never reach 0 by mistake.
  indexes.event_grown(id, #deliveries)
  local event = { id = id, tenant = tenant, type = type, expires = expires }
  for _, delivery in ipairs(deliveries) do
    new_delivery.add(event, delivery[1], delivery[2], delivery[3], now, due or now)
  end
  if after then
    redis.call('HSET', state, 'fan', after)
  else
    redis.call('HDEL', state, 'fan')
    matches.drop(state)
    indexes.fan_out_ended(id, tenant, redis.call('HGET', state, 'at'))
  end
  return 1
end

local outcomes = {}
for _, expansion in ipairs(cmsgpack.unpack(ARGV[3])) do outcomes[#outcomes + 1] = expand(expansion) end
ready.added()
signals.send()
return calls.answer(process, 'expand', number, outcomes)
