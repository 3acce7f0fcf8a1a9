-- needs: key, feed, indexes, loss
-- Inserts or replaces a task, unless the one that is kept has ended.
-- ARGV: a name of this call, so that it writes once also when it is made again because its reply was lost; epoch;
-- feed id seen; id, tenant, status, created (ms), updated (ms), document; feed entries as they are kept.
-- Reply: epoch, lost feed entries, last feed id, and 1, or 0 when nothing was written.
--
--   task:<id>          hash: ten, st, doc, call
--   tasks:<tenant>, tasks-unfinished   indexes by creation
--   tasks-ended        index by last update

local call = ARGV[1]
local id, tenant, status, created, updated, doc = unpack(ARGV, 4, 9)
local task, unfinished = key.task(id), key.tasks_unfinished

local epoch, gone = loss.keep(ARGV[2], ARGV[3])
local function answer(written)
  return { epoch, gone, feed.last(), written }
end

local function is_unfinished(status)
  return status == 'pending' or status == 'running'
end

local former, last_call = unpack(redis.call('HMGET', task, 'st', 'call'), 1, 2)
if last_call == call then return answer(1) end
if former and not is_unfinished(former) then return answer(0) end

redis.call('HSET', task, 'ten', tenant, 'st', status, 'doc', doc, 'call', call)
redis.call('ZADD', key.tasks(tenant), 0, indexes.member(created, id))
if is_unfinished(status) then
  redis.call('ZADD', unfinished, 0, indexes.member(created, id))
else
  redis.call('ZREM', unfinished, indexes.member(created, id))
  redis.call('ZADD', key.tasks_ended, 0, indexes.member(updated, id .. ' ' .. created))
end
feed.append(feed.arguments(10))
return answer(1)
