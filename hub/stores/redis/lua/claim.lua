#!lua flags=allow-oom
-- needs: key, clock, calls, indexes, gate, ready, claims
-- Leases due deliveries. The lease is written by the script that reads the streams, so that no delivery is ever taken
-- without an owner; see docs/decisions/0009.
--
-- ARGV: process, number of the call, number of the last call whose answer arrived (or 0), requests (msgpack): arrays of
--   lane, limit, class that goes first, lease (ms), cap, rate (or nil), revision, address.
-- Reply: rows and events as in lib/claims.lua; and for each request how long to wait before the lane is asked for again
--   (ms, less than 0 where it could have been sooner, or nil), whether it is full, whether its breaker is open, whether
--   nothing may start before that.

local now, process, number, answered = clock.now, ARGV[1], ARGV[2], ARGV[3]
local handed = {}
-- How many deliveries of a lane a call takes at most when they need no attempt.
local LOOKED_AT = 100

local function hand_out(delivery)
  claims.add(delivery)
  handed[#handed + 1] = delivery.id
  handed[#handed + 1] = delivery.tok
end

-- Hand out again what an earlier call gave whose answer was lost, except for what was written since: a token that has
-- moved on shows that. Returns the number of that call. When it is this very call, nothing new is taken; when it is an
-- earlier one, its deliveries come in addition to new ones, because they are leased already and count as under way.
local function hand_out_again()
  local last, given = calls.after(process, 'claim', answered)
  for i = 1, last and #given or 0, 2 do
    local delivery = claims.read(given[i])
    if delivery and delivery.st == 'sending' and delivery.tok == given[i + 1] then hand_out(delivery) end
  end
  return last
end

local function lease(delivery)
  indexes.delivery_moved(claims.indexed(delivery), 'pending', delivery.upd, 'sending', now)
  delivery.st, delivery.tok, delivery.n, delivery.upd = 'sending', delivery.tok + 1, (delivery.n or 0) + 1, now
  delivery.due = nil
  local hash = key.delivery(delivery.id)
  redis.call('HSET', hash, 'st', 'sending', 'tok', delivery.tok, 'n', delivery.n, 'upd', now)
  redis.call('HDEL', hash, 'due')
  hand_out(delivery)
end

-- Whether a delivery needs no attempt, because its event has expired or was cancelled, or cannot be read.
local function is_leaving(delivery)
  if redis.call('HEXISTS', key.state(delivery.evt), 'cancelled') == 1 then return true end
  local document = redis.call('GET', key.event(delivery.evt))
  local is_whole, event = pcall(cmsgpack.unpack, document or '')
  if not is_whole or type(event) ~= 'table' then return true end
  local expires = event[EVENT_EXPIRES_AT]
  return type(expires) == 'number' and expires <= now
end

-- Take at most so many deliveries. Returns how many there were, and how many of them are to be sent; where the lane has
-- no rate, it is not looked which.
local function take_some(lane, request, limit)
  local found = {}
  -- An entry counts only if the hash says the same: entries are hints, and one that was put back twice is dropped here.
  local ids = ready.take(lane.id, request[3], process, limit, function(id, place)
    local delivery = claims.read(id)
    found[id] = delivery
    return delivery and delivery.st == 'pending' and delivery.place == place
  end)
  local sent = #ids
  for _, id in ipairs(ids) do
    if lane.rate and is_leaving(found[id]) then sent = sent - 1 end
    lease(found[id])
  end
  gate.started(lane, ids, request[4], sent)
  return #ids, sent
end

local function take(lane, request)
  local left, looked_at = math.min(request[2], gate.room(lane)), 0
  ready.mature(lane.id)
  repeat
    local number, sent = take_some(lane, request, left)
    left, looked_at = left - sent, looked_at + number
  until sent == number or left == 0 or looked_at >= LOOKED_AT
end

-- What the process needs to know of a lane in order to ask again at the right moment, and no earlier.
local function outlook(lane)
  local is_open = gate.breaker(lane) == 'open' and 1 or 0
  local first = ready.first_due(lane.id)
  if not first then return { false, 0, is_open, 0 } end
  local opens = gate.not_before(lane)
  local possible = opens > now and math.max(first, opens) or first
  local barred = opens > now and opens >= first and 1 or 0
  if possible <= now and gate.is_full(lane) then
    -- No instant can be named: an attempt has to end first, perhaps in another process, which then sends a signal.
    gate.asked(lane, process)
    return { false, 1, is_open, 0 }
  end
  return { possible - now, 0, is_open, barred }
end

local repeated = hand_out_again() == tonumber(number)
local outlooks = {}
for _, request in ipairs(cmsgpack.unpack(ARGV[4])) do
  local lane = gate.lane(request[1])
  gate.adopt(lane, request[5], request[6], request[7], request[8])
  if not repeated then take(lane, request) end
  outlooks[#outlooks + 1] = outlook(lane)
end
gate.save()
-- Ids and tokens are enough: what else the answer holds is read again when they are handed out again.
calls.answer(process, 'claim', number, handed)
return { claims.rows, claims.events, outlooks }
