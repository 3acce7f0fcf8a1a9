-- needs: key, clock
-- Every state change, in order. Ids are given by a counter in `meta` and not by the stream, so that they have no gaps
-- and can be set above what a server lost.

local feed = {}

-- The arguments of the script, from the one at `from` on.
function feed.arguments(from)
  local found = {}
  for place = from, #ARGV do found[#found + 1] = ARGV[place] end
  return found
end

-- Add entries, each of them msgpack, to the feed.
function feed.append(entries)
  if #entries == 0 then return end
  local id = redis.call('HINCRBY', key.meta, 'feed', #entries) - #entries
  for _, entry in ipairs(entries) do
    id = id + 1
    redis.call('XADD', key.feed, string.format('%d-0', id), 'at', clock.now, 'entry', entry)
  end
end

-- The id of its last entry, or 0.
function feed.last()
  return tonumber(redis.call('HGET', key.meta, 'feed') or 0)
end

return feed
