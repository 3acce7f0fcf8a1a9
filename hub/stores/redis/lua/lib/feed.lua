-- needs: key
-- Every state change, in order.

local feed = {}

-- The script's arguments from this one on.
function feed.arguments(from)
  local found = {}
  for place = from, #ARGV do found[#found + 1] = ARGV[place] end
  return found
end

-- Add entries, each ready msgpack, to the feed.
function feed.append(entries, now)
  if #entries == 0 then return end
  local id = redis.call('HINCRBY', key.meta, 'feed', #entries) - #entries
  for _, entry in ipairs(entries) do
    id = id + 1
    redis.call('XADD', key.feed, string.format('%d-0', id), 'at', now, 'entry', entry)
  end
end

-- The id of its last entry, or 0.
function feed.last()
  return tonumber(redis.call('HGET', key.meta, 'feed') or 0)
end

return feed
