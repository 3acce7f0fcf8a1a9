-- needs: key, clock
-- Every state change, in order. Ids are given by a counter in `meta` and not by the stream, so that they have no gaps
-- and can be set above what a server lost.

--
-- One stream for all tenants, because ids are one sequence. `feed-blocks:<tenant>` says in which blocks of ids a tenant
-- has entries, so that who reads those of one tenant passes over the rest. It is complete for the ids from `blocks_from`
-- to `blocks_to`; a version that does not know of blocks leaves `blocks_to` behind, and then they begin again.

local feed = { BLOCK = 1000 }

-- How an entry of this tenant begins, after the header of its array: a msgpack text.
function feed.beginning(tenant)
  local size = #tenant
  return (size < 32 and string.char(0xa0 + size) or string.char(0xd9, size)) .. tenant
end

local function tenant_of(entry)
  local mark = string.byte(entry, 2)
  if mark == 0xd9 then return string.sub(entry, 4, 3 + string.byte(entry, 3)) end
  return string.sub(entry, 3, 2 + mark - 0xa0)
end

-- Note that the entries follow the one with the id `before`.
local function mark_blocks(entries, before)
  local to, trimmed = unpack(redis.call('HMGET', key.meta, 'blocks_to', 'trimmed'), 1, 2)
  if tonumber(to or -1) ~= before then redis.call('HSET', key.meta, 'blocks_from', string.format('%d', before + 1)) end
  redis.call('HSET', key.meta, 'blocks_to', string.format('%d', before + #entries))
  local known = {}
  for place, entry in ipairs(entries) do
    local tenant, block = tenant_of(entry), string.format('%d', math.floor((before + place) / feed.BLOCK))
    if known[tenant] ~= block then
      known[tenant] = block
      if redis.call('ZADD', key.feed_blocks(tenant), block, block) == 1 then
        local oldest = math.floor(tonumber(trimmed or 0) / feed.BLOCK)
        redis.call('ZREMRANGEBYSCORE', key.feed_blocks(tenant), '-inf', string.format('(%d', oldest))
      end
    end
  end
end

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
  mark_blocks(entries, id)
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
