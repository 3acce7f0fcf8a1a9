#!lua flags=allow-oom
-- needs: key, clock, calls, feed, signals, indexes, loss, gate, ready, claims
-- Writes the next states of deliveries, where the token still matches.
--
-- ARGV: process, number of the call, epoch, feed id seen, results (msgpack): arrays of delivery id, token, status, reason
--   (or nil), attempts, schedule base, cause, wait (ms from now until it is due, or nil), updated (ms),
--   number of the attempt and the attempt (or nil both), feed entries, health mark, spread of the breaker's open time,
--   pause (ms, or nil), checkpoint (or nil).
-- Reply: epoch, lost feed entries, last feed id, and for each result 0 (recorded), 1 (fenced) or 2 (its event is
--   cancelled).

local process, number = ARGV[1], ARGV[2]
local answer = calls.answered(process, 'finish', number)
if answer then return answer end

local RECORDED, FENCED, EVENT_CANCELLED = 0, 1, 2
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

local function set(hash, fields)
  local set, unset = {}, {}
  for name, value in pairs(fields) do
    if value then
      set[#set + 1] = name
      set[#set + 1] = value
    else
      unset[#unset + 1] = name
    end
  end
  redis.call('HSET', hash, unpack(set))
  redis.call('HDEL', hash, unpack(unset))
end

local function write(delivery, result)
  local _, _, status, reason, attempts, base, cause, wait, updated, number, attempt, shown = unpack(result, 1, 12)
  local indexed = claims.indexed(delivery)
  local due = wait and clock.now + wait
  set(key.delivery(delivery.id), {
    st = status, why = reason or false, n = attempts, base = base > 0 and base, tok = delivery.tok + 1,
    by = cause ~= 'automatic' and cause, due = due or false, upd = updated, place = false, cp = result[16] or false,
  })
  indexes.delivery_moved(indexed, delivery.st, delivery.upd, status, updated)
  if attempt then indexes.attempt_logged(indexed, number, attempt) end
  for _, entry in ipairs(shown) do entries[#entries + 1] = entry end
  if due then ready.add(delivery.sub, ready.class(attempts, cause), delivery.id, due) end
end

local function finish(result)
  local delivery = claims.read(result[1])
  -- Each claim, takeover and write raises the token, so a process that was thought dead changes nothing any more.
  if not delivery or delivery.tok ~= result[2] then return FENCED end
  if result[3] == 'pending' and redis.call('HEXISTS', key.state(delivery.evt), 'cancelled') == 1 then
    return EVENT_CANCELLED
  end
  local lane = gate.lane(delivery.sub)
  lanes[lane.id] = lane
  leave(delivery, lane)
  gate.record(lane, result[13], result[14])
  if result[15] then gate.pause(lane, result[15]) end
  write(delivery, result)
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
