-- needs: key, transfer
-- Writes entries of another store's feed under the ids that they have there.
-- ARGV: where the piece ended; each entry as id, when it was written (ms) and entry.

-- A stream takes ids only in ascending order. Entries up to the newest are there: this piece was written before.
local newest = redis.call('XREVRANGE', key.feed, '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0
for place = 2, #ARGV, 3 do
  local id, at, entry = unpack(ARGV, place, place + 2)
  if tonumber(id) > last then redis.call('XADD', key.feed, id .. '-0', 'at', at, 'entry', entry) end
end
transfer.reached('feed', ARGV[1])
