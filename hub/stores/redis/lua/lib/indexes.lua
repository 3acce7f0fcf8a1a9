-- needs: key, stored
-- The indexes, from which every list, count and number is read. Scripts change them only through this library, so that
-- what belongs together is changed together; a test compares all indexes with the hashes after random work.
--
-- A `delivery` given to a function is a table of id, event, tenant, channel, lane, at (created, ms). Instants are
-- milliseconds, as numbers or as digits.

local SHORT = 64
local STATUSES = { 'pending', 'sending', 'delivered', 'dead', 'cancelled' }
local OUTCOMES = { 'succeeded', 'failed', 'unknown' }

local indexes = {}

-- The member of an index: 13 digits of milliseconds, until the year 2286, so that the order of bytes is that of time.
function indexes.member(at, id)
  return string.format('%013d', at) .. id
end
local member = indexes.member

local function is_open(status)
  return status == 'pending' or status == 'sending'
end

-- SADD once in each call for the same name: most events of a call share tenant, channel and lane.
local known = {}
local function remember(set, name)
  local both = set .. '\0' .. name
  if not known[both] then
    known[both] = true
    redis.call('SADD', set, name)
  end
end

-- When an event, accepted `at`, was left without open deliveries. Older versions do not keep when the last one ended.
local function ended(event, at)
  return redis.call('HGET', key.state(event), 'ended') or at
end

-- `closed` has the events without open deliveries and without a fan-out, by when the last delivery ended. A purge looks
-- at nothing else, so its cost does not grow with what must stay.
local function close_if_over(event, ended_at, open)
  if open <= 0 and redis.call('HEXISTS', key.state(event), 'fan') == 0 then
    redis.call('ZADD', key.closed, 0, member(ended_at, event))
  end
end

-- A delivery was opened (1) or ended (-1) at this instant.
local function count_open(delivery, change, at)
  local state = key.state(delivery.event)
  local open = redis.call('HINCRBY', state, 'open', change)
  if open > 0 and open > change then return end
  if open > 0 then
    local accepted = redis.call('HGET', state, 'at') or delivery.at
    redis.call('ZREM', key.closed, member(ended(delivery.event, accepted), delivery.event))
  else
    redis.call('HSET', state, 'ended', at)
    close_if_over(delivery.event, at, open)
  end
end

-- An event, as its member of the index by acceptance, has a fan-out cursor.
function indexes.fan_out_added(tenant, entry)
  redis.call('ZADD', key.fan_outs(tenant), 0, entry)
  remember(key.fanning, tenant)
end

-- Add an event whose document and state the caller wrote: a table of id, tenant, subject (or nil), at. `open` is how
-- many deliveries are added with it; `fans_out` whether its state has `fan`.
function indexes.event_added(event, open, fans_out)
  local entry = member(event.at, event.id)
  remember(key.tenants, event.tenant)
  redis.call('ZADD', key.events(event.tenant), 0, entry)
  if event.subject then redis.call('ZADD', key.subject(event.tenant, event.subject), 0, entry) end
  if fans_out then
    indexes.fan_out_added(event.tenant, entry)
  elseif open == 0 then
    redis.call('ZADD', key.closed, 0, entry)
  end
end

-- The caller removed `fan` from the state of an event accepted `at`.
function indexes.fan_out_ended(event, tenant, at)
  local index = key.fan_outs(tenant)
  redis.call('ZREM', index, member(at, event))
  if redis.call('EXISTS', index) == 0 then redis.call('SREM', key.fanning, tenant) end
  close_if_over(event, ended(event, at), tonumber(redis.call('HGET', key.state(event), 'open') or 0))
end

-- `count` deliveries are added to an event that fans out. It cannot be in `closed`, because of its cursor.
function indexes.event_grown(event, count)
  redis.call('HINCRBY', key.state(event), 'open', count)
end

-- Deliveries are added to an event that was accepted `at` and may be in `closed`: `count` of them pending or sending,
-- and others of which the last ended at `last` (nil for none).
function indexes.event_filled(event, at, count, last)
  local state = key.state(event)
  local open, before = redis.call('HINCRBY', state, 'open', count), ended(event, at)
  redis.call('ZREM', key.closed, member(before, event))
  if last then redis.call('HSET', state, 'ended', math.max(last, tonumber(before))) end
  close_if_over(event, ended(event, at), open)
end

-- Add a delivery whose hash the caller wrote: pending, or in a `status` since `updated`. The function for its event
-- counts it in `open`.
function indexes.delivery_added(delivery, status, updated)
  status = status or 'pending'
  local entry = member(delivery.at, delivery.id)
  redis.call('ZADD', key.deliveries_of(delivery.event), 0, entry)
  redis.call('ZADD', key.by_status(delivery.tenant, delivery.channel, status), 0, entry)
  redis.call('ZADD', key.by_lane(delivery.tenant, delivery.lane, status), 0, entry)
  if status == 'dead' then
    redis.call('ZADD', key.dead(delivery.tenant, delivery.channel), 0, member(updated, delivery.id))
  end
  remember(key.channels(delivery.tenant), delivery.channel)
  remember(key.lanes(delivery.tenant), delivery.lane)
end

-- A delivery went from status `before`, in which it was updated at `updated_before`, to `after`, updated at `updated`.
function indexes.delivery_moved(delivery, before, updated_before, after, updated)
  local dead = key.dead(delivery.tenant, delivery.channel)
  if before == 'dead' then redis.call('ZREM', dead, member(updated_before, delivery.id)) end
  if after == 'dead' then redis.call('ZADD', dead, 0, member(updated, delivery.id)) end
  if before == after then return end
  local entry = member(delivery.at, delivery.id)
  redis.call('ZREM', key.by_status(delivery.tenant, delivery.channel, before), entry)
  redis.call('ZADD', key.by_status(delivery.tenant, delivery.channel, after), 0, entry)
  redis.call('ZREM', key.by_lane(delivery.tenant, delivery.lane, before), entry)
  redis.call('ZADD', key.by_lane(delivery.tenant, delivery.lane, after), 0, entry)
  if is_open(before) ~= is_open(after) then count_open(delivery, is_open(after) and 1 or -1, updated) end
end

-- Remove a delivery that has ended, in this status, last updated then. The caller removes it from the index of its
-- event.
function indexes.delivery_removed(delivery, status, updated)
  local entry = member(delivery.at, delivery.id)
  redis.call('ZREM', key.by_status(delivery.tenant, delivery.channel, status), entry)
  redis.call('ZREM', key.by_lane(delivery.tenant, delivery.lane, status), entry)
  if status == 'dead' then
    redis.call('ZREM', key.dead(delivery.tenant, delivery.channel), member(updated, delivery.id))
  end
end

-- The keys of all indexes that there may be of a channel, and of a lane.
function indexes.of_channel(tenant, channel)
  local found = {}
  for _, status in ipairs(STATUSES) do found[#found + 1] = key.by_status(tenant, channel, status) end
  for _, outcome in ipairs(OUTCOMES) do found[#found + 1] = key.attempts(tenant, channel, outcome) end
  return found
end

function indexes.of_lane(tenant, lane)
  local found = {}
  for _, status in ipairs(STATUSES) do found[#found + 1] = key.by_lane(tenant, lane, status) end
  return found
end

-- Where an attempt stands among the attempts of its tenant: the index and the member; nil for one that is damaged. The
-- duration is part of the member, so latencies are read from the index alone.
local function place_of(delivery, number, attempt)
  local members = stored.members(attempt)
  if not members[ATTEMPT_OUTCOME] or not members[ATTEMPT_STARTED_AT] then return nil end
  return key.attempts(delivery.tenant, delivery.channel, members[ATTEMPT_OUTCOME]),
    member(members[ATTEMPT_STARTED_AT], delivery.id) .. ':' .. number .. ':' .. (members[ATTEMPT_DURATION_MS] or '')
end

-- The caller removes an attempt, or replaces it.
function indexes.attempt_removed(delivery, number, attempt)
  local index, entry = place_of(delivery, number, attempt)
  if index then redis.call('ZREM', index, entry) end
end

-- Keep an attempt: a msgpack array as StoredAttempt has it. It replaces one with the same number, wherever that is.
function indexes.attempt_logged(delivery, number, attempt)
  local short, long = key.delivery(delivery.id), key.attempts_of(delivery.id)
  local home, other = short, long
  if #attempt > SHORT then home, other = long, short end
  local former = redis.call('HGET', other, number)
  if former then
    redis.call('HDEL', other, number)
  elseif redis.call('HSETNX', home, number, attempt) == 0 then
    former = redis.call('HGET', home, number)
  end
  if former then
    indexes.attempt_removed(delivery, number, former)
    redis.call('HSET', home, number, attempt)
  end
  local index, entry = place_of(delivery, number, attempt)
  redis.call('ZADD', index, 0, entry)
end

-- Index an idempotency record that the caller wrote, in place of one that expired at `before` (or nil).
function indexes.key_kept(tenant, digest, expires, before)
  local entry = tenant .. ':' .. digest
  if before then redis.call('ZREM', key.expiring, member(before, entry)) end
  redis.call('ZADD', key.expiring, 0, member(expires, entry))
end

return indexes
