-- needs: key
-- Whom the events are for whose deliveries are not all made yet. Events that were accepted together may share a match.
--
-- m:<match> is a hash: to (pairs of lane and channel, msgpack), n (how many fan-outs need it). It goes with the last.

local matches = {}

-- The event with this state fans out to a match, which is written with the first event that names it.
function matches.add(state, name, recipients)
  redis.call('HSET', state, 'match', name)
  local place = key.match(name)
  if redis.call('HINCRBY', place, 'n', 1) == 1 then redis.call('HSET', place, 'to', recipients) end
end

-- The event with this state does not fan out any more.
function matches.drop(state)
  local name = redis.call('HGET', state, 'match')
  if not name then return end
  redis.call('HDEL', state, 'match')
  local place = key.match(name)
  if redis.call('HINCRBY', place, 'n', -1) <= 0 then redis.call('DEL', place) end
end

return matches
