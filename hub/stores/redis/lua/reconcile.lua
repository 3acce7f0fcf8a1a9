#!lua flags=allow-oom
-- needs: key, clock, signals, gate, ready, claims
-- Repairs lanes, a bounded part in each call: puts back pending deliveries that stand in no stream and no sorted set,
-- and deliveries under way that have no lease, and corrects `due`. Scripts are atomic, so this happens only when a
-- server loses keys or parts of its log, or when someone deletes keys by hand.
--
-- How far the scan is stands in the hash `reconciler`: lane (`<tenant> <lane>`), status, after (a member of its index).
-- All processes share that place, so together they scan all lanes once, and not each process all of them.
-- ARGV: how many deliveries to look at.
-- Reply: how many were put back, and 1 when the scan has reached the end of all lanes.

local left = tonumber(ARGV[1])
local LANES_AT_ONCE = 50
local repaired = 0

local function repair_pending(lane, delivery)
  if ready.has(lane, delivery.id, delivery.place) then return end
  -- What is left of its old place would be read as a second entry of the same delivery.
  ready.remove(lane, delivery.id, delivery.place)
  redis.call('HDEL', key.delivery(delivery.id), 'place')
  local due = tonumber(delivery.due or clock.now)
  redis.call('HSET', key.delivery(delivery.id), 'due', due)
  ready.add(lane, ready.class(delivery.n, delivery.by), delivery.id, due)
  repaired = repaired + 1
end

local function repair(lane, status, id)
  local delivery = claims.read(id)
  if not delivery or delivery.st ~= status then return end
  if status == 'pending' then
    repair_pending(lane, delivery)
  elseif gate.add_ended_lease(lane, id, clock.now) then
    repaired = repaired + 1
  end
end

-- Look at the deliveries of one lane in one status after a member. Returns the last one looked at, or nil at the end.
local function scan(tenant, lane, status, after)
  local from = after == '' and '-' or '(' .. after
  local members = redis.call('ZRANGEBYLEX', key.by_lane(tenant, lane, status), from, '+', 'LIMIT', 0, left)
  for _, entry in ipairs(members) do repair(lane, status, string.sub(entry, 14)) end
  left = left - #members
  return left <= 0 and members[#members] or nil
end

-- A lane without unfinished deliveries is not scanned again until one is added.
local function is_empty(tenant, lane)
  return redis.call('EXISTS', key.by_lane(tenant, lane, 'pending'), key.by_lane(tenant, lane, 'sending')) == 0
end

local function leave_lane(tenant, lane)
  ready.added()
  ready.first_due(lane)
  ready.forget_consumers(lane)
  if is_empty(tenant, lane) then ready.unseen(tenant, lane) end
end

local place = redis.call('HMGET', key.reconciler, 'lane', 'status', 'after')
local member, status, after = place[1] or ready.next_seen(''), place[2] or 'pending', place[3] or ''
local lanes = 0
while member and left > 0 and lanes < LANES_AT_ONCE do
  local tenant, lane = string.match(member, '^(%S*) (.*)$')
  after = scan(tenant, lane, status, after) or ''
  if after == '' and status == 'pending' then
    status = 'sending'
  elseif after == '' then
    leave_lane(tenant, lane)
    member, status, lanes = ready.next_seen(member), 'pending', lanes + 1
  end
end
ready.added()
signals.send()
if member then
  redis.call('HSET', key.reconciler, 'lane', member, 'status', status, 'after', after)
else
  redis.call('DEL', key.reconciler)
end
return { repaired, member and 0 or 1 }
