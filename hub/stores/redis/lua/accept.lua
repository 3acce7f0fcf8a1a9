#!lua
-- needs: key, clock, calls, feed, signals, indexes, loss, matches, ready, new_delivery, stored
-- Accepts the events of many requests at once, each request as if it came alone, in this order.
--
-- ARGV: process, number of the call, epoch, feed id seen, batches (msgpack). A batch is an array of
--   tenant, catalogue version, key (nil, or an array of digest, key, fingerprint, for how long it is kept in ms, verdicts as JSON),
--   entries: arrays of index, event id, document, digest of it, type, subject, source, source id, accepted (ms),
--   due (ms, or nil: now), feed entry, the match to fan out to (or nil), deliveries: arrays of id, lane, channel,
--   expiry (ms, or nil);
--   and the matches by their names.
-- Reply: epoch, lost feed entries, last feed id, and for each batch an array of its outcome: 0 and the duplicates
--   (index and id of the first event in turn); 1 and the record kept with its key; 2: the catalogue of the
--   tenant has changed; 3: an event with one of the ids exists.
--
-- An idempotency record is a msgpack array of key, fingerprint, expiry (ms), verdicts (JSON), duplicates.

local now, process, number = clock.now, ARGV[1], ARGV[2]
local answer = calls.answered(process, 'accept', number)
-- Written once more, because WAIT waits only for the writes of its own connection, and a call that is made again comes
-- over another one. Without a write here, WAIT would answer for replicas that do not have the events yet.
if answer then return calls.answer(process, 'accept', number, answer) end

local ACCEPTED, REPLAYED, STALE, TAKEN = 0, 1, 2, 3
local epoch, gone = loss.keep(ARGV[3], ARGV[4])
local version = tonumber(redis.call('HGET', key.meta, 'version') or 0)
local feed_entries = {}

-- Ids are random, so a taken one shows a defect. It is looked for before anything of the batch is written.
local function is_taken(entries)
  local ids = {}
  for _, entry in ipairs(entries) do
    local id = entry[2]
    if ids[id] or redis.call('EXISTS', key.event(id)) == 1 then return true end
    ids[id] = true
  end
  return false
end

local function write(tenant, entry, recipients)
  local _, id, document, digest, type, subject, _, _, at, due, shown, match, deliveries, expires =
    unpack(entry, 1, 14)
  redis.call('SET', key.event(id), document)
  redis.call('HSET', key.state(id), 'at', at, 'type', type, 'open', #deliveries, 'sum', digest)
  if match then
    redis.call('HSET', key.state(id), 'fan', '')
    matches.add(key.state(id), match, recipients[match])
    signals.fans_out()
  end
  indexes.event_added({ id = id, tenant = tenant, subject = subject, at = at }, #deliveries, match)
  local event = { id = id, tenant = tenant, type = type, expires = expires }
  for _, delivery in ipairs(deliveries) do
    new_delivery.add(event, delivery[1], delivery[2], delivery[3], at, due or now)
  end
  feed_entries[#feed_entries + 1] = shown
end

-- The id of the event that came with the same source and source id before. If there is none, this entry's event becomes
-- the first one; a later entry of the same batch finds it.
local function first_with_source(tenant, entry)
  local source, source_id = entry[7], entry[8]
  if not source_id then return nil end
  local place = key.source(tenant, source, source_id)
  local first = redis.call('GET', place)
  if first then return first end
  redis.call('SET', place, entry[2])
end

-- Whether the deliveries were chosen from a catalogue in which the tenant has changed something since. A process that is
-- this far behind reads the catalogue again, whoever changed it.
local MOST_CHANGES = 100
local function is_stale(tenant, seen)
  if seen >= version then return seen > version end
  local changed = redis.call('ZRANGEBYLEX', key.record_versions,
    '(' .. string.format('%013d', seen) .. '\255', '+', 'LIMIT', 0, MOST_CHANGES)
  for _, place in ipairs(changed) do
    if string.match(string.sub(place, 14), '^[^%z]*%z([^%z]*)%z') == tenant then return true end
  end
  return #changed == MOST_CHANGES
end

local function accept(batch)
  local tenant, expected, given, entries = batch[1], batch[2], batch[3], batch[4]
  local kept, expired
  if given then
    kept = redis.call('GET', key.idempotency(tenant, given[1]))
    local expires = kept and tonumber(stored.members(kept)[3])
    if expires and expires > now then return { REPLAYED, kept } end
    expired = expires
  end
  if is_stale(tenant, expected) then return { STALE } end
  if is_taken(entries) then return { TAKEN } end
  local duplicates = {}
  for _, entry in ipairs(entries) do
    local first = first_with_source(tenant, entry)
    if first then
      duplicates[#duplicates + 1] = entry[1]
      duplicates[#duplicates + 1] = first
    else
      write(tenant, entry, batch[5])
    end
  end
  if given then
    local expires = now + given[4]
    redis.call('SET', key.idempotency(tenant, given[1]),
      cmsgpack.pack({ given[2], given[3], expires, given[5], duplicates }))
    indexes.key_kept(tenant, given[1], expires, expired)
  end
  return { ACCEPTED, duplicates }
end

local outcomes = {}
for _, batch in ipairs(cmsgpack.unpack(ARGV[5])) do outcomes[#outcomes + 1] = accept(batch) end
-- Once for all batches: the counters of the feed and the signals are written once a call, whatever its size.
feed.append(feed_entries)
ready.added()
signals.send()
return calls.answer(process, 'accept', number, { epoch, gone, feed.last(), outcomes })
