#!lua flags=allow-oom
-- needs: key, clock, calls, feed, signals, indexes, loss, gate, ready, claims, records
-- Writes the next states of deliveries, where the token still matches.
--
-- ARGV: process, number of the call, epoch, feed id seen, results (msgpack): arrays of delivery id, token, status, reason
--   (or nil), attempts, schedule base, cause, wait (ms from now until it is due, or nil), updated (ms),
--   number of the attempt and the attempt (or nil both), feed entries, health mark, spread of the breaker's open time,
--   pause (ms, or nil), checkpoint (or nil), steps spared, address that was tried (or nil: any), effects
--   (or nil): arrays of record name, the version it must be in, doc ('' for a deletion), feed entries.
-- Reply: epoch, lost feed entries, last feed id, and for each result 0 (recorded), 1 (fenced), 2 (its event is
--   cancelled) or 3 (a record that it has an effect on has changed).

local process, number = ARGV[1], ARGV[2]
local answer = calls.answered(process, 'finish', number)
if answer then return answer end

local RECORDED, FENCED, EVENT_CANCELLED, STALE = 0, 1, 2, 3
local epoch, gone = loss.keep(ARGV[3], ARGV[4])
local entries, lanes, waited = {}, {}, {}

-- Take the delivery out of the work that waits, or of the work under way. A pending one ends without an attempt when,
-- for example, a person cancels it.
local function leave(delivery, lane)
  local waits = delivery.st == 'pending'
  if waits or delivery.place then
    ready.remove(lane.id, delivery.id, delivery.place)
  end
  if waits then waited[lane.id] = true else gate.ended(lane, delivery.id) end
end

-- Write fields of a delivery's hash; one that is false is removed, if it is there.
local function set(delivery, fields)
  local hash = key.delivery(delivery.id)
  local set, unset = {}, {}
  for name, value in pairs(fields) do
    if value then
      set[#set + 1] = name
      set[#set + 1] = value
    elseif delivery[name] then
      unset[#unset + 1] = name
    end
  end
  redis.call('HSET', hash, unpack(set))
  if #unset > 0 then redis.call('HDEL', hash, unpack(unset)) end
end

local function write(delivery, result)
  local _, _, status, reason, attempts, base, cause, wait, updated, number, attempt, shown = unpack(result, 1, 12)
  local indexed = claims.indexed(delivery)
  local due = wait and clock.now + wait
  set(delivery, {
    st = status, why = reason or false, n = attempts, base = base > 0 and base, tok = delivery.tok + 1,
    by = cause ~= 'automatic' and cause, due = due or false, upd = updated, place = false, cp = result[16] or false,
    spare = result[17] ~= 0 and result[17],
  })
  indexes.delivery_moved(indexed, delivery.st, delivery.upd, status, updated)
  if attempt then indexes.attempt_logged(indexed, number, attempt) end
  for _, entry in ipairs(shown) do entries[#entries + 1] = entry end
  if due then ready.add(delivery.sub, ready.class(attempts, cause), delivery.id, due) end
end

local function has_changed(effects)
  for _, effect in ipairs(effects) do
    if records.version_of(effect[1]) ~= effect[2] then return true end
  end
  return false
end

local function apply(effects)
  local named = {}
  for _, effect in ipairs(effects) do
    named[#named + 1] = effect[1]
    named[#named + 1] = effect[3]
    for _, entry in ipairs(effect[4]) do entries[#entries + 1] = entry end
  end
  records.write(named)
end

local function finish(result)
  local delivery = claims.read(result[1])
  -- Each claim, takeover and write raises the token, so a process that was thought dead changes nothing any more.
  if not delivery or delivery.tok ~= result[2] then return FENCED end
  if result[3] == 'pending' and redis.call('HEXISTS', key.state(delivery.evt), 'cancelled') == 1 then
    return EVENT_CANCELLED
  end
  local effects = result[19]
  if effects and has_changed(effects) then return STALE end
  local lane = gate.lane(delivery.sub)
  lanes[lane.id] = lane
  leave(delivery, lane)
  local at_hand = not result[18] or result[18] == lane.address
  gate.record(lane, at_hand and result[13] or 'none', result[14])
  if at_hand and result[15] then gate.pause(lane, result[15]) end
  write(delivery, result)
  if effects then apply(effects) end
  return RECORDED
end

local outcomes = {}
for _, result in ipairs(cmsgpack.unpack(ARGV[5])) do outcomes[#outcomes + 1] = finish(result) end
feed.append(entries)
ready.added()
-- Where a waiting delivery left, `due` may name an instant at which nothing is due any more.
for id in pairs(waited) do ready.first_due(id) end
for id, lane in pairs(lanes) do
  local news = gate.news(lane, process)
  if news then signals.lane(id, news > 0 and news or nil) end
end
gate.save()
signals.send()
return calls.answer(process, 'finish', number, { epoch, gone, feed.last(), outcomes })
