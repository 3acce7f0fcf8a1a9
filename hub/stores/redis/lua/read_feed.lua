-- needs: key, feed
-- Reads feed entries of one tenant, in their order.
-- ARGV: the tenant; the id after which to begin; how many at most.
-- Reply: the last id that was looked at, or -1 when everything was; then each id and entry in turn.
--
-- One call looks at a bounded number of entries, whosever they are.

local BLOCKS = 4
local tenant, after, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local beginning = feed.beginning(tenant)
local reply, reached = { 0 }, after

-- Look at the entries with these ids until there are enough; gives how many there are.
local function look(from, to)
  local rows = redis.call('XRANGE', key.feed, string.format('%d-0', from), to, 'COUNT', feed.BLOCK)
  for _, row in ipairs(rows) do
    local id, entry = tonumber(string.match(row[1], '^%d+')), row[2][4]
    reached = id
    if string.sub(entry, 2, 1 + #beginning) == beginning then
      reply[#reply + 1] = string.format('%d', id)
      reply[#reply + 1] = entry
      if #reply == 1 + 2 * limit then return #rows end
    end
  end
  return #rows
end

local function answer(last)
  reply[1] = last
  return reply
end

local from = tonumber(redis.call('HGET', key.meta, 'blocks_from') or 'inf')
if after + 1 < from then
  -- What an older version has written is in no block.
  if look(after + 1, '+') < feed.BLOCK and #reply < 1 + 2 * limit then return answer(-1) end
  return answer(reached)
end
local first = math.floor((after + 1) / feed.BLOCK)
local blocks = redis.call(
  'ZRANGEBYSCORE', key.feed_blocks(tenant), string.format('%d', first), '+inf', 'LIMIT', 0, BLOCKS)
for _, block in ipairs(blocks) do
  local begin = tonumber(block) * feed.BLOCK
  look(math.max(begin, after + 1), string.format('%d-0', begin + feed.BLOCK - 1))
  if #reply == 1 + 2 * limit then return answer(reached) end
  reached = begin + feed.BLOCK - 1
end
return answer(#blocks < BLOCKS and -1 or reached)
