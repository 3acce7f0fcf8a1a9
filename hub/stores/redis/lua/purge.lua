-- needs: key, indexes, stored
-- Removes closed events, the oldest first, with everything that belongs to them.
-- ARGV: only those whose last delivery ended before this (ms), or that were accepted before it and have none; how many
--   at most: events, deliveries and attempts together.
-- Reply: how many events were removed, and 1 when it stopped because of the number of rows or of bytes, else 0.
--
-- A script holds up every other call while it runs, so the work of one is bounded in two ways. An event with more
-- deliveries than fit loses them over several calls; it goes itself with the last of them, and stays in `closed` so
-- long.

local before, rows_left = ARGV[1], tonumber(ARGV[2])
local bytes_left = 8000000
local touched = {}

-- Forget the tenants, channels and lanes of which no index is left: lists and numbers go through these sets of names.
local function forget_empty()
  for set, names in pairs(touched) do
    for name, keys in pairs(names) do
      if redis.call('EXISTS', unpack(keys)) == 0 then redis.call('SREM', set, name) end
    end
  end
end

local function touch(set, name, keys)
  touched[set] = touched[set] or {}
  touched[set][name] = touched[set][name] or keys()
end

local function remove_attempts(delivery)
  for _, home in ipairs({ key.delivery(delivery.id), key.attempts_of(delivery.id) }) do
    local fields = redis.call('HGETALL', home)
    for place = 1, #fields, 2 do
      if string.match(fields[place], '^%d+$') then
        indexes.attempt_removed(delivery, fields[place], fields[place + 1])
        rows_left = rows_left - 1
      end
    end
  end
end

local function remove_delivery(id)
  local row = redis.call('HMGET', key.delivery(id), 'ten', 'chan', 'sub', 'at', 'st', 'upd')
  local delivery = { id = id, tenant = row[1], channel = row[2], lane = row[3], at = row[4] }
  if not delivery.tenant then return end
  remove_attempts(delivery)
  indexes.delivery_removed(delivery, row[5], row[6])
  redis.call('UNLINK', key.delivery(id), key.attempts_of(id))
  redis.call('ZREM', key.delivery_expiries, id)
  touch(key.channels(delivery.tenant), delivery.channel, function()
    return indexes.of_channel(delivery.tenant, delivery.channel)
  end)
  touch(key.lanes(delivery.tenant), delivery.lane, function()
    return indexes.of_lane(delivery.tenant, delivery.lane)
  end)
end

-- Remove as many deliveries of an event as fit; returns whether all are gone and there is room for the event.
local function remove_deliveries(event)
  local index = key.deliveries_of(event)
  for _, entry in ipairs(redis.call('ZRANGE', index, 0, rows_left)) do
    if rows_left <= 0 then return false end
    remove_delivery(string.sub(entry, 14))
    redis.call('ZREM', index, entry)
    rows_left = rows_left - 1
  end
  return rows_left > 0
end

local function remove_event(entry)
  local id = string.sub(entry, 14)
  local document = redis.call('GET', key.event(id))
  local event = {}
  if document then
    bytes_left = bytes_left - #document
    event = stored.members(document)
  end
  local tenant, subject, source_id = event[EVENT_TENANT], event[EVENT_SUBJECT], event[EVENT_SOURCE_ID]
  -- Without the document its tenant is unknown. The entry in that tenant's index stays; readers skip what does not
  -- exist.
  if tenant then
    local accepted = indexes.member(event[EVENT_ACCEPTED_AT], id)
    redis.call('ZREM', key.events(tenant), accepted)
    touch(key.tenants, tenant, function() return { key.events(tenant) } end)
    if subject then redis.call('ZREM', key.subject(tenant, subject), accepted) end
    if source_id then
      local first = key.source(tenant, event[EVENT_SOURCE], source_id)
      -- After a loss, the same source and source id may have come again.
      if redis.call('GET', first) == id then redis.call('DEL', first) end
    end
  end
  redis.call('ZREM', key.closed, entry)
  redis.call('UNLINK', key.event(id), key.state(id), key.deliveries_of(id))
end

local removed = 0
local cut = 0
local horizon = '(' .. indexes.member(before, '')
for _, entry in ipairs(redis.call('ZRANGEBYLEX', key.closed, '-', horizon, 'LIMIT', 0, rows_left)) do
  if bytes_left <= 0 or not remove_deliveries(string.sub(entry, 14)) then
    cut = 1
    break
  end
  remove_event(entry)
  rows_left = rows_left - 1
  removed = removed + 1
end
forget_empty()
return { removed, cut }
