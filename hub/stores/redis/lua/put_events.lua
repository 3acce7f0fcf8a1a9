-- needs: key, indexes, gate, matches, ready, transfer
-- Writes events of another store with their deliveries and attempts. What is there already stays as it is, so a piece
-- may be written again after its answer was lost, or after the copy was interrupted.
--
-- ARGV: where the piece ended; events (msgpack): arrays of id, tenant, type, subject, source, source id, accepted (ms),
--   document (false where an earlier piece had it), digest of it, fan-out cursor (or false), cancelled (ms, or false),
--   deliveries: arrays of id, lane, channel, status, reason (or false), attempts, schedule base, token, cause,
--   due (ms, or false), created (ms), updated (ms), of each attempt its number and the attempt in turn, checkpoint (or
--   false), steps spared; the match that it fans out to (or false); and its expiry (ms, or false).

local function is_open(status)
  return status == 'pending' or status == 'sending'
end

local function put_event(event)
  local id, tenant, type, subject, source, source_id, at, document, digest, fan, cancelled = unpack(event, 1, 11)
  if not document or redis.call('EXISTS', key.event(id)) == 1 then return end
  local state = key.state(id)
  redis.call('SET', key.event(id), document)
  redis.call('HSET', state, 'at', at, 'type', type, 'open', 0, 'sum', digest)
  if fan then redis.call('HSET', state, 'fan', fan) end
  if fan and event[13] then matches.add(state, id, event[13]) end
  if cancelled then redis.call('HSET', state, 'cancelled', cancelled) end
  if source_id then redis.call('SET', key.source(tenant, source, source_id), id) end
  indexes.event_added({ id = id, tenant = tenant, subject = subject or nil, at = at }, 0, fan)
end

local function put_hash(event, sent)
  local id, lane, channel, status, reason, attempts, base, token, cause, due, at, updated = unpack(sent, 1, 12)
  local fields = {
    'ten', event[2], 'evt', event[1], 'type', event[3], 'sub', lane, 'chan', channel, 'st', status, 'n', attempts,
    'tok', token, 'at', at, 'upd', updated,
  }
  local function also(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if reason then also('why', reason) end
  if base > 0 then also('base', base) end
  if cause ~= 'automatic' then also('by', cause) end
  if due then also('due', due) end
  if sent[14] then also('cp', sent[14]) end
  if sent[15] ~= 0 then also('spare', sent[15]) end
  redis.call('HSET', key.delivery(id), unpack(fields))
end

-- Nothing becomes ready here, not even what is overdue: every pending delivery waits in the sorted set, so that the first claim moves them in order of due time and not in the order in which they were copied.
-- What was under way gets a lease that has run out, and is taken over.
local function put_in_lane(tenant, lane, id, status, attempts, cause, due, updated)
  ready.seen(tenant, lane)
  if status == 'pending' then
    ready.delay(lane, ready.class(attempts, cause), id, due)
  else
    gate.add_ended_lease(lane, id, updated)
  end
end

-- Returns whether the delivery is new here.
local function put_delivery(event, sent)
  local id, lane, channel, status, _, attempts, _, _, cause, due, at, updated, logged = unpack(sent, 1, 13)
  if redis.call('EXISTS', key.delivery(id)) == 1 then return false end
  local delivery = { id = id, event = event[1], tenant = event[2], channel = channel, lane = lane, at = at }
  put_hash(event, sent)
  indexes.delivery_added(delivery, status, updated)
  for place = 1, #logged, 2 do indexes.attempt_logged(delivery, logged[place], logged[place + 1]) end
  if event[14] and is_open(status) then redis.call('ZADD', key.delivery_expiries, event[14], id) end
  if is_open(status) then put_in_lane(event[2], lane, id, status, attempts, cause, due, updated) end
  return true
end

for _, event in ipairs(cmsgpack.unpack(ARGV[2])) do
  put_event(event)
  local open, last = 0, nil
  for _, sent in ipairs(event[12]) do
    if put_delivery(event, sent) then
      if is_open(sent[4]) then open = open + 1 else last = math.max(last or 0, sent[12]) end
    end
  end
  if open > 0 or last then indexes.event_filled(event[1], event[7], open, last) end
end
ready.added()
transfer.reached('events', ARGV[1])
