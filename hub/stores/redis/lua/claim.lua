#!lua flags=allow-oom
-- needs: key, calls, indexes, gate, ready, claims
-- Lease due deliveries.
--
-- ARGV: now (ms), process, number of the call, number of the last one whose answer was heard (or 0), wants
--   (msgpack): arrays of lane, limit, retries first, lease (ms), cap, rate (or nil), revision.
-- Reply: rows and events as in claims.lua; and for each want when to ask again (ms, or -1), whether it is full, whether
--   it rests, whether nothing may start before.

local now, process, number, heard = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local handed = {}

local function hand_out(delivery)
  claims.add(delivery)
  handed[#handed + 1] = delivery.id
  handed[#handed + 1] = delivery.tok
end

-- Hand out again what was given but not heard, and nobody has written since. The number of the call that gave it.
local function hand_out_again()
  local last, given = calls.after(process, 'claim', heard)
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

local function take(lane, want)
  local limit = math.min(want[2], gate.room(lane))
  ready.mature(lane.id, now)
  local found = {}
  local ids = ready.take(lane.id, want[3], process, limit, function(id, place)
    local delivery = claims.read(id)
    found[id] = delivery
    return delivery and delivery.st == 'pending' and delivery.place == place
  end)
  gate.started(lane, ids, now + want[4])
  for _, id in ipairs(ids) do lease(found[id]) end
end

local function outlook(lane)
  local resting = gate.breaker(lane) == 'open' and 1 or 0
  local first = ready.first_due(lane.id)
  if not first then return { -1, 0, resting, 0 } end
  local opens = gate.not_before(lane)
  local possible = opens > now and math.max(first, opens) or first
  local barred = opens > now and opens >= first and 1 or 0
  if possible <= now and gate.is_full(lane) then
    gate.asked(lane, process)
    return { -1, 1, resting, 0 }
  end
  return { possible, 0, resting, barred }
end

local repeated = hand_out_again() == tonumber(number)
local outlooks = {}
for _, want in ipairs(cmsgpack.unpack(ARGV[5])) do
  local lane = gate.lane(want[1], now)
  gate.adopt(lane, want[5], want[6], want[7])
  if not repeated then take(lane, want) end
  outlooks[#outlooks + 1] = outlook(lane)
end
gate.save()
calls.answer(process, 'claim', number, handed)
return { claims.rows, claims.events, outlooks }
