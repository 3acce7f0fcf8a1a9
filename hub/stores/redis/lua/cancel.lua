#!lua flags=allow-oom
-- needs: key, calls, indexes, matches
-- Marks events cancelled, drops their fan-out cursors, and begins the changes that cancel their deliveries.
--
-- ARGV: process, number of the call, cancellations (msgpack): arrays of tenant, event id, at (ms), the change (JSON).
-- Reply: for each 1, or 0 where the event is unknown or was cancelled before.

local process, number = ARGV[1], ARGV[2]
local answer = calls.answered(process, 'cancel', number)
if answer then return answer end

local function cancel(tenant, id, cancelled_at, change)
  local state = key.state(id)
  local at, cancelled, fan = unpack(redis.call('HMGET', state, 'at', 'cancelled', 'fan'), 1, 3)
  if not at or cancelled then return 0 end
  -- The state does not name the tenant; the tenant's index does.
  if not redis.call('ZSCORE', key.events(tenant), indexes.member(at, id)) then return 0 end
  redis.call('HSET', state, 'cancelled', cancelled_at)
  redis.call('HSET', key.changes, id, change)
  if fan then
    redis.call('HDEL', state, 'fan')
    matches.drop(state)
    indexes.fan_out_ended(id, tenant, at)
  end
  return 1
end

local outcomes = {}
for _, one in ipairs(cmsgpack.unpack(ARGV[3])) do outcomes[#outcomes + 1] = cancel(unpack(one, 1, 4)) end
return calls.answer(process, 'cancel', number, outcomes)
