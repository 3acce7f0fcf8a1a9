-- needs: key, clock
-- Detection of data loss: the server came back empty, or older than a process has seen it. See docs/decisions/0009.
--
-- meta holds, besides the counters: epoch, a name given once to everything that is kept here; lost (how many feed
-- entries are known to be gone) and lost_at (ms, when a loss was last noticed).

local loss = {}
-- After a loss, the ids of the feed go on this far above what the writing process has seen, because other processes may
-- have seen more. An id that is given twice would make listeners skip entries.
local BEYOND = 1000000

-- A process knows this epoch ('' for none) and has seen this feed id. Where the server has less, the loss is recorded
-- and the feed goes on far above what was seen. Each script that writes to the feed calls this first, before it gives
-- an id. Returns the epoch, and how many entries are known to be gone.
function loss.keep(epoch, seen)
  local kept, feed = unpack(redis.call('HMGET', key.meta, 'epoch', 'feed'))
  feed, seen = tonumber(feed or 0), tonumber(seen)
  local gone = math.max(0, seen - feed)
  if not kept then
    -- The mark of the format is gone, too, and was set when the store was opened, which this process has done already.
    redis.call('HSET', key.meta, 'epoch', epoch, 'format', STORE_FORMAT)
    kept = epoch
  elseif epoch ~= '' and kept ~= epoch then
    -- Other data, for example of a backup or of another server: only the ids that were seen must not be given again.
    gone = seen
  end
  if gone > 0 then
    -- `trimmed` rises with it: for listeners the gap looks like entries that were trimmed, which they are told of.
    local last = string.format('%d', math.max(feed, seen) + BEYOND)
    redis.call('HSET', key.meta, 'feed', last, 'trimmed', last, 'lost_at', clock.now)
    redis.call('HINCRBY', key.meta, 'lost', gone)
  end
  return kept, gone
end

return loss
