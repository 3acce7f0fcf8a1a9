-- needs: key, clock, signals
-- Where pending deliveries wait, lane by lane. The delivery's hash is the truth; what stands here are hints, which a
-- claim checks and the reconciler puts back. See docs/decisions/0009.
--
-- ready:<lane>:first, …:retry and …:replay are streams of what is due, one delivery (field `id`) an entry, in order of
-- due time, read by the consumer group `workers`; each process is a consumer. What a process claimed stays in its list
-- of pending entries until it is finished, but only for those who look at the server: the leases of gate.lua decide. An
-- entry is named in the delivery's hash, in `place`: `first:<entry>`.
-- delayed:<lane> is a sorted set of what is not due yet, `<class>:<delivery>` by due (ms).
-- due is a sorted set of all lanes with pending deliveries by when the first is due (ms).
-- lanes is a sorted set, all scores 0, of `<tenant> <lane>`: where the reconciler has to look.

local ready = {}
local GROUP = 'workers'
-- A lane may have a hundred thousand deliveries due at once, after an outage; the next claims move the others.
local MOVED_AT_ONCE = 500

-- The names of the classes, by their numbers and 1 (see `LaneClass`), as they stand in keys and members.
local CLASSES = { 'first', 'retry', 'replay' }

-- The class of a delivery of `attempts`, the next one made because of `cause`. What a release before 0.3.0 put down as
-- `first` may be a replay: its place says where it is, and without a place it is looked for under each class.
function ready.class(attempts, cause)
  if cause == 'replay' then return 'replay' end
  return tonumber(attempts or 0) > 0 and 'retry' or 'first'
end

-- The members of a delivery in the sorted set, under each class.
local function members(id)
  local names = {}
  for i, class in ipairs(CLASSES) do names[i] = class .. ':' .. id end
  return names
end

local function make_ready(lane, class, id)
  local entry = redis.call('XADD', key.ready(lane, class), '*', 'id', id)
  redis.call('HSET', key.delivery(id), 'place', class .. ':' .. entry)
end

-- Move what has become due, at most MOVED_AT_ONCE, from the sorted set into the streams.
function ready.mature(lane)
  local delayed = key.delayed(lane)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', clock.now, 'LIMIT', 0, MOVED_AT_ONCE)) do
    local class, id = string.match(member, '^(%a+):(.*)$')
    redis.call('ZREM', delayed, member)
    make_ready(lane, class, id)
  end
end

local matured, soonest = {}, {}

-- A pending delivery waits in the sorted set, also if it is due: the next claim finds it there.
function ready.delay(lane, class, id, due)
  redis.call('ZADD', key.delayed(lane), due, class .. ':' .. id)
  soonest[lane] = math.min(soonest[lane] or due, due)
end

-- A pending delivery waits from now on. What is due goes into a stream, after everything that became due before it: to
-- keep that order the lane matures first, once in each call.
function ready.add(lane, class, id, due)
  if due <= clock.now then
    if not matured[lane] then
      matured[lane] = true
      ready.mature(lane)
    end
    make_ready(lane, class, id)
    soonest[lane] = math.min(soonest[lane] or due, due)
  else
    ready.delay(lane, class, id, due)
  end
end

-- Keep when the lanes that deliveries were added to are due, and signal those that are due sooner than was known. For the
-- others no signal is needed: each process knows the former instant and looks at the lane then, so a burst costs one
-- signal. Once, at the end of a script.
function ready.added()
  for lane, due in pairs(soonest) do
    if redis.call('ZADD', key.due, 'LT', 'CH', due, lane) == 1 then signals.lane(lane, due > clock.now and due or nil) end
  end
  soonest = {}
end

-- The lane of a tenant has deliveries, so the reconciler scans it.
local seen = {}
function ready.seen(tenant, lane)
  local member = tenant .. ' ' .. lane
  if not seen[member] then
    seen[member] = true
    redis.call('ZADD', key.all_lanes, 0, member)
  end
end

-- The lane, as `<tenant> <lane>`, after this one ('' for the first), or nil.
function ready.next_seen(member)
  return redis.call('ZRANGEBYLEX', key.all_lanes, member == '' and '-' or '(' .. member, '+', 'LIMIT', 0, 1)[1]
end

-- The lane has no unfinished deliveries any more, so the reconciler need not scan it.
function ready.unseen(tenant, lane)
  redis.call('ZREM', key.all_lanes, tenant .. ' ' .. lane)
end

-- Remove an entry. An empty stream is deleted, and its consumer group with it: there may be many thousand quiet lanes.
local function drop(stream, entry)
  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
  if redis.call('XLEN', stream) == 0 then redis.call('DEL', stream) end
end

-- A delivery that is no longer pending or no longer under way leaves its `place`, or the sorted set if it has none.
function ready.remove(lane, id, place)
  if place then
    local at, entry = string.match(place, '^(%a+):(.*)$')
    drop(key.ready(lane, at), entry)
  else
    redis.call('ZREM', key.delayed(lane), unpack(members(id)))
  end
end

-- Whether a pending delivery stands where its hash says, and a claim can read it there: an entry that some consumer has
-- already read is not given to another one.
function ready.has(lane, id, place)
  if not place then
    for _, member in ipairs(members(id)) do
      if redis.call('ZSCORE', key.delayed(lane), member) then return true end
    end
    return false
  end
  local at, entry = string.match(place, '^(%a+):(.*)$')
  local stream = key.ready(lane, at)
  if #redis.call('XRANGE', stream, entry, entry) == 0 then return false end
  local taken = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1)
  return taken.err ~= nil or #taken == 0
end

-- Give an entry that is under way to another process. Errors do not matter: the lease decides, and the group may be
-- gone.
function ready.hand_over(lane, place, process)
  local at, entry = string.match(place, '^(%a+):(.*)$')
  redis.pcall('XCLAIM', key.ready(lane, at), GROUP, process, 0, entry, 'JUSTID')
end

-- Forget the consumers that hold nothing here and were not seen for an hour: each start of a process adds one.
function ready.forget_consumers(lane)
  for _, class in ipairs(CLASSES) do
    local stream = key.ready(lane, class)
    local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, GROUP)
    for _, fields in ipairs(consumers.err and {} or consumers) do
      local consumer = {}
      for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
      if consumer.pending == 0 and consumer.idle > 3600000 then
        redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, consumer.name)
      end
    end
  end
end

-- Read new entries. The group is made when it is missing, which is cheaper than looking for it before each read.
local function read(stream, process, number)
  local command = { 'XREADGROUP', 'GROUP', GROUP, process, 'COUNT', number, 'STREAMS', stream, '>' }
  local reply = redis.pcall(unpack(command))
  if reply and reply.err then
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0')
    reply = redis.call(unpack(command))
  end
  return reply and reply[1][2] or {}
end

-- Take at most `number` entries of a class for a process; returns the ids of deliveries. `is_here(id, place)` says
-- whether the delivery's hash agrees; entries that it does not agree with are dropped, and further ones are read in
-- their place.
local function take(lane, class, process, number, is_here)
  local stream, ids = key.ready(lane, class), {}
  if redis.call('EXISTS', stream) == 0 then return ids end
  while #ids < number do
    local wanted = number - #ids
    local entries = read(stream, process, wanted)
    for _, entry in ipairs(entries) do
      local id = entry[2] and entry[2][2]
      if id and is_here(id, class .. ':' .. entry[1]) then
        ids[#ids + 1] = id
      else
        drop(stream, entry[1])
      end
    end
    if #entries < wanted then break end
  end
  return ids
end

-- Take at most `number` deliveries that are due: first those of the class of this number, then those of the others. The
-- dispatcher changes that class, so that none keeps another one waiting.
function ready.take(lane, first, process, number, is_here)
  local ids = take(lane, CLASSES[first + 1], process, number, is_here)
  for other, class in ipairs(CLASSES) do
    if #ids >= number then break end
    if other ~= first + 1 then
      for _, id in ipairs(take(lane, class, process, number - #ids, is_here)) do ids[#ids + 1] = id end
    end
  end
  return ids
end

-- The entry up to which the group has read.
local function last_read(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err or #groups == 0 then return '0-0' end
  for i = 1, #groups[1], 2 do
    if groups[1][i] == 'last-delivered-id' then return groups[1][i + 1] end
  end
end

-- When the first entry that is not read yet was due. A delivery takes its entry with it when it ends, so entries of
-- deliveries that are gone are rare, and a few looks are enough.
local function head_due(lane, class)
  local stream = key.ready(lane, class)
  if redis.call('EXISTS', stream) == 0 then return nil end
  for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. last_read(stream), '+', 'COUNT', 20)) do
    local due = redis.call('HGET', key.delivery(entry[2][2]), 'due')
    -- What stands in the stream was due before, so it is due, also when the server's clock was set back since.
    if due then return math.min(tonumber(due), clock.now) end
  end
end

-- When the first pending delivery of a lane is due (ms), or nil. Sets `due` to that.
function ready.first_due(lane)
  local first = tonumber(redis.call('ZRANGE', key.delayed(lane), 0, 0, 'WITHSCORES')[2])
  for _, class in ipairs(CLASSES) do
    local head = head_due(lane, class)
    if head and (not first or head < first) then first = head end
  end
  if first then
    redis.call('ZADD', key.due, first, lane)
  else
    redis.call('ZREM', key.due, lane)
  end
  return first
end

return ready
