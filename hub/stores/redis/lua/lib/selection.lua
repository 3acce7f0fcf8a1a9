-- The conditions of a query that no index answers; they are checked against the hashes of deliveries, or states of
-- events.
--
-- `wanted` is a table whose members may be absent: equal (fields and their values), type (exact), prefix (of a type
-- that is longer), lanes and not_lanes (lists).

local selection = {}

local function set_of(list)
  if not list then return nil end
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

-- Returns a function that says whether the hash at a key exists and fulfils the conditions.
function selection.of(wanted)
  local lanes, not_lanes = set_of(wanted.lanes), set_of(wanted.not_lanes)
  local equal, prefix = wanted.equal or {}, wanted.prefix
  return function(place)
    local type, lane = unpack(redis.call('HMGET', place, 'type', 'sub'), 1, 2)
    if not type then return false end
    if wanted.type and type ~= wanted.type then return false end
    if prefix and (#type <= #prefix or string.sub(type, 1, #prefix) ~= prefix) then return false end
    if lanes and not lanes[lane] or not_lanes and not_lanes[lane] then return false end
    for name, value in pairs(equal) do
      if redis.call('HGET', place, name) ~= value then return false end
    end
    return true
  end
end

return selection
