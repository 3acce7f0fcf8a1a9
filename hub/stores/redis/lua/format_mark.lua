#!lua flags=allow-oom
-- needs: key, indexes
-- Marks the store with the format of this version, after what an older one wrote is converted. A part in each call.
--
-- Without a mark it is empty, or the first release wrote it, whose format is 1. When it is empty, there is nothing to
-- convert.
-- ARGV: how much to convert.
-- Reply: 1 when there is more to convert, else 0.

local limit = tonumber(ARGV[1])

if tonumber(redis.call('HGET', key.meta, 'format') or 1) < 2 then
  -- Format 1 had one index of fan-outs for all tenants. One whose event was lost belongs to no tenant any more.
  local entries = redis.call('ZRANGE', key.fan_outs_of_all, 0, limit - 1)
  for _, entry in ipairs(entries) do
    local document = redis.call('GET', key.event(string.sub(entry, 14)))
    if document then indexes.fan_out_added(cmsgpack.unpack(document)[EVENT_TENANT], entry) end
    redis.call('ZREM', key.fan_outs_of_all, entry)
  end
  if #entries == limit then return 1 end
  redis.call('HSET', key.meta, 'format', STORE_FORMAT)
end
return 0
