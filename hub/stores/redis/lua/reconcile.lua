#!lua flags=allow-oom
-- needs: key, signals, gate, ready, claims
-- Put back, a bounded part a call, what fell out of its place: pending deliveries that wait nowhere, deliveries under
-- way that nobody's lease covers, lanes that say nothing of what is due.
--
-- Where the walk is, is kept in the hash `reconciler`: lane (`<tenant> <lane>`), status, after (a member of its index).
-- ARGV: now (ms), how many deliveries to look at.
-- Reply: how many were put back, and 1 where the walk came to the end of all lanes.

local now, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local LANES_AT_ONCE = 50
local mended = 0

local function mend_pending(lane, delivery)
  local class = ready.class(delivery.n, delivery.by)
  if ready.has(lane, class, delivery.id, delivery.place) then return end
  ready.remove(lane, class, delivery.id, delivery.place)
  redis.call('HDEL', key.delivery(delivery.id), 'place')
  local due = tonumber(delivery.due or now)
  redis.call('HSET', key.delivery(delivery.id), 'due', due)
  ready.add(lane, class, delivery.id, due, now)
  mended = mended + 1
end

local function mend(lane, status, id)
  local delivery = claims.read(id)
  if not delivery or delivery.st ~= status then return end
  if status == 'pending' then
    mend_pending(lane, delivery)
  elseif gate.leased_anew(lane, id, now) then
    mended = mended + 1
  end
end

-- Look at the deliveries of one lane in one status after a member; the last one looked at, or nil at the end.
local function walk(tenant, lane, status, after)
  local from = after == '' and '-' or '(' .. after
  local members = redis.call('ZRANGEBYLEX', key.by_lane(tenant, lane, status), from, '+', 'LIMIT', 0, left)
  for _, entry in ipairs(members) do mend(lane, status, string.sub(entry, 14)) end
  left = left - #members
  return left <= 0 and members[#members] or nil
end

local function is_empty(tenant, lane)
  return redis.call('EXISTS', key.by_lane(tenant, lane, 'pending'), key.by_lane(tenant, lane, 'sending')) == 0
end

local function leave_lane(tenant, lane)
  ready.added(now)
  ready.first_due(lane)
  ready.forget_consumers(lane)
  if is_empty(tenant, lane) then ready.unseen(tenant, lane) end
end

local place = redis.call('HMGET', key.reconciler, 'lane', 'status', 'after')
local member, status, after = place[1] or ready.next_seen(''), place[2] or 'pending', place[3] or ''
local lanes = 0
while member and left > 0 and lanes < LANES_AT_ONCE do
  local tenant, lane = string.match(member, '^(%S*) (.*)$')
  after = walk(tenant, lane, status, after) or ''
  if after == '' and status == 'pending' then
    status = 'sending'
  elseif after == '' then
    leave_lane(tenant, lane)
    member, status, lanes = ready.next_seen(member), 'pending', lanes + 1
  end
end
ready.added(now)
signals.send()
if member then
  redis.call('HSET', key.reconciler, 'lane', member, 'status', status, 'after', after)
else
  redis.call('DEL', key.reconciler)
end
return { mended, member and 0 or 1 }
