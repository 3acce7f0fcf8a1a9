-- needs: key, transfer
-- Lets the counters go on from where those of another store are. `format` is not among them: it is that of this store.
-- ARGV: where the section ended ('' for nowhere); the catalogue's version, the feed's last id, the last one trimmed.

-- Never down: a piece that is written again must not undo what came after it.
local function raise(counter, value)
  if tonumber(redis.call('HGET', key.meta, counter) or 0) < tonumber(value) then
    redis.call('HSET', key.meta, counter, value)
  end
end

raise('version', ARGV[2])
raise('feed', ARGV[3])
raise('trimmed', ARGV[4])
transfer.reached('counters', ARGV[1])
