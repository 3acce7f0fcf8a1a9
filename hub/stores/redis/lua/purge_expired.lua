-- needs: key, clock, indexes
-- Removes expired idempotency records, and then tasks that ended long ago.
-- ARGV: tasks updated before this (ms); how many at most.
-- Reply: how many.

local now, ended_before, limit = clock.now, ARGV[1], tonumber(ARGV[2])
local ended = key.tasks_ended

-- Those that expire at `now` are included. Python and accept.lua take a record for valid only before its expiry.
local keys = redis.call('ZRANGEBYLEX', key.expiring, '-', '(' .. indexes.member(now + 1, ''), 'LIMIT', 0, limit)
for _, entry in ipairs(keys) do
  redis.call('UNLINK', key.expired(string.sub(entry, 14)))
  redis.call('ZREM', key.expiring, entry)
end

local room = limit - #keys
local tasks = redis.call('ZRANGEBYLEX', ended, '-', '(' .. indexes.member(ended_before, ''), 'LIMIT', 0, room)
for _, entry in ipairs(tasks) do
  local id, created = string.match(entry, '^%d%d%d%d%d%d%d%d%d%d%d%d%d(.*) (%d+)$')
  local task = key.task(id)
  local tenant = redis.call('HGET', task, 'ten')
  if tenant then redis.call('ZREM', key.tasks(tenant), indexes.member(created, id)) end
  redis.call('UNLINK', task)
  redis.call('ZREM', ended, entry)
end
return #keys + #tasks
