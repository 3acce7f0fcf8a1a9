-- needs: key
-- Noticing that the server lost what it had: it came back empty, or older than a process has seen it.
--
-- meta holds, besides the counters: epoch, a name given once to everything that is kept here; lost (how many feed
-- entries are known to be gone) and lost_at (ms, when that was noticed last).

local loss = {}
-- By how much the ids of the feed leave out, after a loss, what other processes may have seen and this one has not.
local BEYOND = 1000000

-- A process knows this epoch ('' for none) and has seen this feed id. Where the server has less, the loss is noted and
-- the feed goes on far above what was seen, so that no id is given twice. Returns the epoch, and how many entries are
-- known to be gone.
function loss.keep(epoch, seen, now)
  local kept, feed = unpack(redis.call('HMGET', key.meta, 'epoch', 'feed'))
  feed, seen = tonumber(feed or 0), tonumber(seen)
  local gone = math.max(0, seen - feed)
  if not kept then
    -- The mark is gone with the rest, and this process will not open the store again.
    redis.call('HSET', key.meta, 'epoch', epoch, 'format', STORE_FORMAT)
    kept = epoch
  elseif epoch ~= '' and kept ~= epoch then
    -- These are other data: what was seen before says nothing of them but that its ids must not come again.
    gone = seen
  end
  if gone > 0 then
    local last = string.format('%d', math.max(feed, seen) + BEYOND)
    redis.call('HSET', key.meta, 'feed', last, 'trimmed', last, 'lost_at', now)
    redis.call('HINCRBY', key.meta, 'lost', gone)
  end
  return kept, gone
end

return loss
