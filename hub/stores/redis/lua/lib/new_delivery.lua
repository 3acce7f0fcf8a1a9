-- needs: key, indexes, ready
-- New deliveries.

local new_delivery = {}

-- Create a pending delivery of `event` (id, tenant, type, expires in ms or nil), due at that instant (ms): its hash, its indexes, its place in
-- its lane.
function new_delivery.add(event, id, lane, channel, at, due)
  redis.call('HSET', key.delivery(id), 'ten', event.tenant, 'evt', event.id, 'type', event.type, 'sub', lane,
    'chan', channel, 'st', 'pending', 'due', due, 'at', at, 'upd', at)
  indexes.delivery_added({
    id = id, event = event.id, tenant = event.tenant, channel = channel, lane = lane, at = at,
  })
  if event.expires then redis.call('ZADD', key.delivery_expiries, event.expires, id) end
  ready.seen(event.tenant, lane)
  ready.add(lane, 'first', id, due)
end

return new_delivery
