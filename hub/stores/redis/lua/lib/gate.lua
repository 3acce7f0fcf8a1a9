-- needs: key, clock
-- The rules by which a lane lets deliveries through: those of hub/stores/gate.py, applied to all processes together.
-- The numbers come from there; a test runs both against each other. See docs/decisions/0010.
--
-- gate:<lane> is a hash of cap, rate, revision, address (the policy of the last claim), failures (in a row), open_until
-- (while the breaker is not closed), rests (how often it opened in a row), ramp, paused_until, spent_until, touched_at
-- (seconds), and asking: the process that heard that the lane is full, or `*` for several. It exists only while there
-- is something to remember, so lanes in good health cost no memory.
-- leases:<lane> is a sorted set of the deliveries under way by the end of their lease (ms), and therefore also the
-- count of attempts under way. `leases` is a sorted set of these lanes; the score of each is not later than the end of
-- its first lease. So it may be too early, which costs a look, but never too late, which would leave a delivery behind.

local gate = {}
local UNBOUNDED = 2 ^ 31
local TEXT = { asking = true, address = true }
local loaded = {}

-- One over a smaller rate is too large to be reckoned with.
local function bounded(rate)
  return rate and math.min(math.max(rate, SLOWEST_PER_SECOND), FASTEST_PER_SECOND)
end

-- A lane as it was kept, loaded once in each call. Instants are in milliseconds everywhere except inside this file.
function gate.lane(id)
  local lane = loaded[id]
  if lane then return lane end
  lane = { id = id, now = clock.now / 1000, cap = UNBOUNDED, revision = 0, address = '', failures = 0, rests = 0 }
  local kept = redis.call('HGETALL', key.gate(id))
  local remembered = {}
  for i = 1, #kept, 2 do
    remembered[kept[i]] = TEXT[kept[i]] and kept[i + 1] or tonumber(kept[i + 1])
  end
  lane.kept = #kept > 0
  lane.under_way = redis.call('ZCARD', key.under_way(id))
  -- As `idle` in gate.py: a lane that nothing touched for days begins afresh, but not while an attempt is under way.
  if lane.under_way > 0 or lane.now - (remembered.touched_at or lane.now) < FORGET_SECONDS then
    for name, value in pairs(remembered) do lane[name] = value end
    -- Starts use up the rate to at most now. What was kept may come from a release that took any rate.
    lane.rate = bounded(lane.rate)
    lane.spent_until = lane.spent_until and math.min(lane.spent_until, lane.now + SLACK_SECONDS)
  end
  loaded[id] = lane
  return lane
end

-- Follow this policy from now on. What is known of the target's health belongs to its address, and is forgotten with
-- that. An older revision comes from a process that has not seen a change of the subscription yet, and is ignored.
function gate.adopt(lane, cap, rate, revision, address)
  if revision < lane.revision then return end
  if address ~= lane.address then
    lane.failures, lane.rests = 0, 0
    lane.open_until, lane.ramp, lane.paused_until, lane.spent_until = nil, nil, nil, nil
  end
  lane.cap, lane.rate, lane.revision, lane.address = cap, bounded(rate), revision, address
end

-- The breaker: 'closed', 'open' or 'half_open'.
function gate.breaker(lane)
  if not lane.open_until then return 'closed' end
  return lane.now < lane.open_until and 'open' or 'half_open'
end

local function allowance(lane)
  local state = gate.breaker(lane)
  if state == 'open' then return 0 end
  if state == 'half_open' then return 1 end
  return lane.ramp and math.min(lane.cap, lane.ramp) or lane.cap
end

-- Rounded up to a whole millisecond, unless it is less than a hundredth of one over it. In seconds.
local function whole(seconds)
  return math.ceil(seconds * 1000 - 0.01) / 1000
end

local function burst(lane)
  return 1 / lane.rate + CATCH_UP_SECONDS
end

local function caught_up(lane)
  local earliest = lane.now - burst(lane)
  return math.max(lane.spent_until or earliest, earliest)
end

-- How many attempts may start now.
function gate.room(lane)
  if lane.paused_until and lane.now < lane.paused_until then return 0 end
  local room = allowance(lane) - lane.under_way
  if lane.rate then room = math.min(room, math.floor((lane.now + SLACK_SECONDS - caught_up(lane)) * lane.rate)) end
  return math.max(room, 0)
end

function gate.is_full(lane)
  return lane.under_way >= allowance(lane)
end

-- The first instant (ms) at which the pause, the open breaker and the rate allow a start, or 0.
function gate.not_before(lane)
  local at = math.max(lane.paused_until or 0, lane.open_until or 0)
  if lane.rate and lane.spent_until then
    at = math.max(at, whole(lane.spent_until + 1 / lane.rate - SLACK_SECONDS / 2))
  end
  return math.floor(at * 1000 + 0.5)
end

-- Deliveries start: a list of their ids, leased for `lease` (ms), of which `number` are to be sent; the others use up
-- nothing of the rate. Also called for an empty list: a claim touches the lane even when it finds nothing.
function gate.started(lane, ids, lease, number)
  lane.touched_at = lane.now
  if lane.rate then lane.spent_until = caught_up(lane) + number / lane.rate end
  if #ids == 0 then return end
  local lease_end = clock.now + lease
  for _, id in ipairs(ids) do redis.call('ZADD', key.under_way(lane.id), lease_end, id) end
  redis.call('ZADD', key.lanes_under_way, 'LT', lease_end, lane.id)
  lane.under_way = lane.under_way + #ids
end

-- A delivery is not under way any more.
function gate.ended(lane, id)
  if redis.call('ZREM', key.under_way(lane.id), id) == 1 then
    lane.under_way = lane.under_way - 1
    if lane.under_way == 0 then redis.call('ZREM', key.lanes_under_way, lane.id) end
  end
end

-- A lease runs out `lease` (ms) from now instead. The score of the lane in `leases` stays, and is then too early.
function gate.renewed(id, delivery, lease)
  redis.call('ZADD', key.under_way(id), 'XX', clock.now + lease, delivery)
end

-- Give a delivery under way that has no lease one that ran out at `ended` (ms), so that it is taken over. Returns
-- whether it had none.
function gate.add_ended_lease(id, delivery, ended)
  if redis.call('ZADD', key.under_way(id), 'NX', ended, delivery) == 0 then return false end
  redis.call('ZADD', key.lanes_under_way, 'LT', ended, id)
  return true
end

-- The lanes where leases may have run out by `horizon`.
function gate.lanes_leased(horizon)
  return redis.call('ZRANGEBYSCORE', key.lanes_under_way, '-inf', horizon)
end

-- At most `limit` deliveries of a lane whose leases have run out by `horizon`, in this order.
function gate.leased(id, horizon, limit)
  return redis.call('ZRANGEBYSCORE', key.under_way(id), '-inf', horizon, 'LIMIT', 0, limit)
end

-- Drop the lease of a delivery that is not under way.
function gate.dropped(id, delivery)
  redis.call('ZREM', key.under_way(id), delivery)
end

-- Correct the score of a lane in `leases`.
function gate.tidy(id)
  local first = redis.call('ZRANGE', key.under_way(id), 0, 0, 'WITHSCORES')[2]
  if first then
    redis.call('ZADD', key.lanes_under_way, first, id)
  else
    redis.call('ZREM', key.lanes_under_way, id)
  end
end

local function succeeded(lane)
  lane.failures, lane.rests = 0, 0
  if lane.open_until then lane.open_until, lane.ramp = nil, 1 end
  if lane.ramp then
    lane.ramp = lane.ramp * 2
    if lane.ramp >= lane.cap then lane.ramp = nil end
  end
end

local function failed(lane, spread)
  lane.failures = lane.failures + 1
  local state = gate.breaker(lane)
  -- While it is open, an attempt that began before says nothing new when it fails.
  if state == 'half_open' or (state == 'closed' and lane.failures >= THRESHOLD) then
    local seconds = math.min(FIRST_OPEN_SECONDS * 2 ^ lane.rests, LONGEST_OPEN_SECONDS)
    lane.rests = math.min(lane.rests + 1, 16)
    lane.open_until = whole(lane.now + seconds * (1 + OPEN_SPREAD * spread))
  end
end

-- Record what an attempt that ended says of the target's health: 'none', 'good' or 'bad'. `spread`, from -1 to 1, makes
-- the open time longer or shorter.
function gate.record(lane, mark, spread)
  lane.touched_at = lane.now
  if mark == 'good' then succeeded(lane) elseif mark == 'bad' then failed(lane, spread) end
end

-- The target wants no attempt for `span` (ms).
function gate.pause(lane, span)
  lane.paused_until = math.max(lane.paused_until or 0, lane.now + span / 1000)
end

-- Remember that a process waits for room. For several it is enough to know that: the signal goes to all.
function gate.asked(lane, process)
  lane.asking = (not lane.asking or lane.asking == process) and process or '*'
end

-- When the lane may have room (ms, 0 for now), if a process other than this one waits for that; otherwise nil. A
-- process that has just finished an attempt looks at the lane by itself, and needs no signal.
function gate.news(lane, process)
  if not lane.asking then return nil end
  local is_open = gate.breaker(lane) == 'open'
  if not is_open and gate.is_full(lane) then return nil end
  local others = lane.asking ~= process
  lane.asking = nil
  if others then return is_open and gate.not_before(lane) or 0 end
end

-- Nothing is under way and there is nothing to remember: a new lane would behave the same.
local function is_idle(lane)
  if lane.under_way > 0 then return false end
  local recovered = not lane.rate or not lane.spent_until or lane.spent_until <= lane.now + SLACK_SECONDS - burst(lane)
  return recovered and (lane.paused_until or 0) <= lane.now
    and lane.failures == 0 and not lane.open_until and not lane.ramp
end

-- Keep what is to be remembered of every lane that was loaded. Once, at the end of a script.
function gate.save()
  for id, lane in pairs(loaded) do
    -- Written whole, because members that are nil now must not stay.
    if lane.kept then redis.call('DEL', key.gate(id)) end
    if not is_idle(lane) then
      local fields = {}
      for _, name in ipairs({ 'cap', 'rate', 'revision', 'failures', 'open_until', 'rests', 'ramp',
        'paused_until', 'spent_until', 'touched_at' }) do
        if lane[name] then
          fields[#fields + 1] = name
          -- With all digits, so that sums of fractions of seconds do not drift from those of gate.py.
          fields[#fields + 1] = string.format('%.17g', lane[name])
        end
      end
      for name in pairs(TEXT) do
        if lane[name] then
          fields[#fields + 1] = name
          fields[#fields + 1] = lane[name]
        end
      end
      redis.call('HSET', key.gate(id), unpack(fields))
      redis.call('EXPIRE', key.gate(id), FORGET_SECONDS)
    end
  end
end

return gate
