-- What every list, count and number is read from. Each script that writes has this library before it and keeps the
-- indexes true by calling it; none of them touches an index by itself.
--
-- Keys, each after the prefix, which is the hash tag of the whole hub (KEYS[1]):
--   e:<event>    string: the event as it was accepted, a msgpack array beginning with
--                tenant, type, subject, source, source_id, accepted_at
--   s:<event>    hash, the event's state:
--                at (accepted, ms), type, open (how many deliveries are pending or sending),
--                fan (the fan-out cursor, while there is one), cancelled (ms, once it is)
--   o:<event>    index of its deliveries
--   d:<delivery> hash: ten, evt, type, sub (its lane), chan, st (status), why (reason), n (attempts), base (schedule
--                base), tok (token), by (cause), due (ms), at (created, ms), upd (updated, ms); what is empty is absent.
--                Fields that are numbers are its short attempts, by number
--   a:<delivery> hash: its long attempts, by number. One value over 64 bytes would make any hash three times as big
--   meta         hash of counters: feed, trimmed (feed ids), signals, version (of the catalogue), leases
--   feed         stream, ids <n>-0 without holes, but where a server lost some: at (ms), entry (msgpack)
--   signals      stream, ids <n>-0 without holes, the newest some ten thousand: due (msgpack map lane -> ms, 0 for now),
--                fans_out, catalogue
--   i:<tenant>:<digest>  an idempotency record, whose index is `expiring`
--   source:<tenant>:<digest>  string: the id of the event that came with this (source, source_id)
-- Indexes are sorted sets whose scores are all 0 and whose members are `<13 digits of milliseconds><id>`:
--   events:<tenant>, subject:<tenant>:<digest>, closed, fan-outs           by acceptance
--   status:<tenant>:<channel>:<status>, lane:<tenant>:<lane>:<status>      by creation; a delivery is in one of each
--   dead:<tenant>:<channel>                                                by last update
--   attempts:<tenant>:<channel>:<outcome>, members end in `:<number>:<duration in ms>`   by start
--   expiring                                                               by expiry, members end in `<tenant>:<digest>`
-- Sets: channels:<tenant> and lanes:<tenant>, what deliveries there are of; tenants, who ever published.
--
-- A `delivery` given to a function is a table of id, event, tenant, channel, lane, at (created, ms). Instants are
-- milliseconds, as numbers or as digits.

local HUB = KEYS[1]
local SHORT = 64
local SIGNALS_KEPT = 10000
local STATUSES = { 'pending', 'sending', 'delivered', 'dead', 'cancelled' }
local OUTCOMES = { 'succeeded', 'failed', 'unknown' }

local key = {
  meta = HUB .. ':meta',
  feed = HUB .. ':feed',
  signals = HUB .. ':signals',
  closed = HUB .. ':closed',
  fan_outs = HUB .. ':fan-outs',
  expiring = HUB .. ':expiring',
  tenants = HUB .. ':tenants',
}
function key.event(id) return HUB .. ':e:' .. id end
function key.state(id) return HUB .. ':s:' .. id end
function key.deliveries_of(event) return HUB .. ':o:' .. event end
function key.delivery(id) return HUB .. ':d:' .. id end
function key.attempts_of(delivery) return HUB .. ':a:' .. delivery end
function key.events(tenant) return HUB .. ':events:' .. tenant end
function key.subject(tenant, subject) return HUB .. ':subject:' .. tenant .. ':' .. redis.sha1hex(subject) end
function key.source(tenant, source, id) return HUB .. ':source:' .. tenant .. ':' .. redis.sha1hex(source .. '\0' .. id) end
function key.idempotency(tenant, digest) return HUB .. ':i:' .. tenant .. ':' .. digest end
function key.by_status(tenant, channel, status) return HUB .. ':status:' .. tenant .. ':' .. channel .. ':' .. status end
function key.by_lane(tenant, lane, status) return HUB .. ':lane:' .. tenant .. ':' .. lane .. ':' .. status end
function key.dead(tenant, channel) return HUB .. ':dead:' .. tenant .. ':' .. channel end
function key.attempts(tenant, channel, outcome) return HUB .. ':attempts:' .. tenant .. ':' .. channel .. ':' .. outcome end
function key.channels(tenant) return HUB .. ':channels:' .. tenant end
function key.lanes(tenant) return HUB .. ':lanes:' .. tenant end

local indexes = {}

-- The member of an index for what has this id and instant.
function indexes.member(at, id)
  return string.format('%013d', at) .. id
end
local member = indexes.member

local function is_open(status)
  return status == 'pending' or status == 'sending'
end

local known = {}
local function remember(set, name)
  local both = set .. '\0' .. name
  if not known[both] then
    known[both] = true
    redis.call('SADD', set, name)
  end
end

-- Closed is what has no open delivery and no fan-out: all that a purge looks at.
local function close_if_over(event, at, open)
  if open <= 0 and redis.call('HEXISTS', key.state(event), 'fan') == 0 then
    redis.call('ZADD', key.closed, 0, member(at, event))
  end
end

-- By how much the number of an event's open deliveries changed.
local function weigh(delivery, change)
  local state = key.state(delivery.event)
  local open = redis.call('HINCRBY', state, 'open', change)
  if open > 0 and open > change then return end
  -- Of an event that was lost, what is left must be found by a purge all the same.
  local at = redis.call('HGET', state, 'at') or delivery.at
  if open > 0 then
    redis.call('ZREM', key.closed, member(at, delivery.event))
  else
    close_if_over(delivery.event, at, open)
  end
end

-- An event whose document and state the caller wrote: a table of id, tenant, subject (or nil), at. `open` deliveries are
-- added with it; it fans out if its state has `fan`.
function indexes.event_added(event, open, fans_out)
  local entry = member(event.at, event.id)
  remember(key.tenants, event.tenant)
  redis.call('ZADD', key.events(event.tenant), 0, entry)
  if event.subject then redis.call('ZADD', key.subject(event.tenant, event.subject), 0, entry) end
  if fans_out then
    redis.call('ZADD', key.fan_outs, 0, entry)
  elseif open == 0 then
    redis.call('ZADD', key.closed, 0, entry)
  end
end

-- The caller removed `fan` from the state of an event accepted `at`.
function indexes.fan_out_ended(event, at)
  redis.call('ZREM', key.fan_outs, member(at, event))
  close_if_over(event, at, tonumber(redis.call('HGET', key.state(event), 'open') or 0))
end

-- `count` deliveries are added to an event that was accepted before, and that fans out.
function indexes.event_grown(event, count)
  redis.call('HINCRBY', key.state(event), 'open', count)
end

-- `count` deliveries that are pending or sending are added to an event that was accepted `at`, whatever it has so far.
function indexes.event_opened(event, at, count)
  redis.call('HINCRBY', key.state(event), 'open', count)
  redis.call('ZREM', key.closed, member(at, event))
end

-- A delivery whose hash the caller wrote, pending, or in a `status` since `updated`; it is counted in `open` by its
-- event's function.
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
  if is_open(before) ~= is_open(after) then weigh(delivery, is_open(after) and 1 or -1) end
end

-- A delivery that has ended goes; its status and when it was updated. The index of its event is the caller's.
function indexes.delivery_removed(delivery, status, updated)
  local entry = member(delivery.at, delivery.id)
  redis.call('ZREM', key.by_status(delivery.tenant, delivery.channel, status), entry)
  redis.call('ZREM', key.by_lane(delivery.tenant, delivery.lane, status), entry)
  if status == 'dead' then
    redis.call('ZREM', key.dead(delivery.tenant, delivery.channel), member(updated, delivery.id))
  end
end

-- The indexes there may be of a channel, and of a lane.
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

-- Where an attempt stands among all of its tenant's: the index and the member.
function indexes.place_of(delivery, number, attempt)
  local _, started, duration, outcome = unpack(cmsgpack.unpack(attempt), 1, 4)
  return key.attempts(delivery.tenant, delivery.channel, outcome),
    member(started, delivery.id) .. ':' .. number .. ':' .. (duration or '')
end

-- Keep an attempt: a msgpack array of cause, started_at (ms), duration (ms or nil), outcome, status_code, error,
-- response_body. It takes the place of one with the same number.
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
    redis.call('ZREM', indexes.place_of(delivery, number, former))
    redis.call('HSET', home, number, attempt)
  end
  local index, entry = indexes.place_of(delivery, number, attempt)
  redis.call('ZADD', index, 0, entry)
end

-- The script's arguments from this one on.
function indexes.arguments(from)
  local found = {}
  for place = from, #ARGV do found[#found + 1] = ARGV[place] end
  return found
end

-- Add entries, each ready msgpack, to the feed.
function indexes.feed_appended(entries, now)
  if #entries == 0 then return end
  local id = redis.call('HINCRBY', key.meta, 'feed', #entries) - #entries
  for _, entry in ipairs(entries) do
    id = id + 1
    redis.call('XADD', key.feed, string.format('%d-0', id), 'at', now, 'entry', entry)
  end
end

-- An idempotency record that the caller wrote, in place of one that expired at `before` (or nil).
function indexes.key_kept(tenant, digest, expires, before)
  local entry = tenant .. ':' .. digest
  if before then redis.call('ZREM', key.expiring, member(before, entry)) end
  redis.call('ZADD', key.expiring, 0, member(expires, entry))
end

-- What other processes are told of this script, all at once by `signals.send()` at its end.
local signals = { due = {} }

-- A lane has work from `due` on (nil: now).
function signals.lane(lane, due)
  due = tonumber(due or 0)
  local other = signals.due[lane]
  if not other or due < other then signals.due[lane] = due end
  signals.any = true
end

function signals.fans_out()
  signals.fan, signals.any = true, true
end

function signals.catalogue()
  signals.cat, signals.any = true, true
end

function signals.send()
  if not signals.any then return end
  local fields = {}
  if next(signals.due) then
    fields[1], fields[2] = 'due', cmsgpack.pack(signals.due)
  end
  for name, told in pairs({ fans_out = signals.fan, catalogue = signals.cat }) do
    if told then
      fields[#fields + 1] = name
      fields[#fields + 1] = 1
    end
  end
  local id = string.format('%d-0', redis.call('HINCRBY', key.meta, 'signals', 1))
  redis.call('XADD', key.signals, 'MAXLEN', '~', SIGNALS_KEPT, id, unpack(fields))
  signals.due, signals.fan, signals.cat, signals.any = {}, nil, nil, nil
end
