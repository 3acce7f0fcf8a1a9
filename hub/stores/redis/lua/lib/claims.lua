-- needs: key
-- Deliveries that are handed to a process, each with its event. An event of many deliveries is in the reply only once,
-- with its digest, by which the process sees whether the server still has what was accepted.

local claims = { rows = {}, events = {} }
local FIELDS = { unpack(CLAIM_FIELDS) }
FIELDS[#FIELDS + 1] = 'place'
local numbered = {}

-- The hash of a delivery as a table by field, or nil for an unknown one.
function claims.read(id)
  local values = redis.call('HMGET', key.delivery(id), unpack(FIELDS))
  if not values[1] then return nil end
  local delivery = { id = id }
  for i, name in ipairs(FIELDS) do delivery[name] = values[i] or nil end
  delivery.tok = tonumber(delivery.tok or 0)
  return delivery
end

-- The delivery as the functions of `indexes` take it.
function claims.indexed(delivery)
  return {
    id = delivery.id, event = delivery.evt, tenant = delivery.ten, channel = delivery.chan, lane = delivery.sub,
    at = delivery.at,
  }
end

-- The number of an event in the reply, which it gets when it is first named.
local function event_number(id)
  if not numbered[id] then
    local state = redis.call('HMGET', key.state(id), 'sum', 'cancelled')
    claims.events[#claims.events + 1] = { redis.call('GET', key.event(id)), state[1], state[2] }
    numbered[id] = #claims.events
  end
  return numbered[id]
end

-- A row of a delivery: its id, then (where there is one) the number of its event, and CLAIM_FIELDS.
function claims.row(delivery, number)
  local row = { delivery.id, number }
  for _, name in ipairs(CLAIM_FIELDS) do
    local value = delivery[name]
    row[#row + 1] = value and tostring(value) or false
  end
  return row
end

-- Hand out a delivery, with the number of its event from 1.
function claims.add(delivery)
  claims.rows[#claims.rows + 1] = claims.row(delivery, event_number(delivery.evt))
end

return claims
