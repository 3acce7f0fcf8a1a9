-- needs: key, transfer
-- Writes records of the catalogue with the versions that they have in another store. Keys as in write_records.lua.
-- ARGV: where the piece ended; each record as name, version and doc ('' for a deletion).

local docs, versions = key.records, key.record_versions

for place = 2, #ARGV, 3 do
  local name, digits, doc = ARGV[place], string.format('%013d', ARGV[place + 1]), ARGV[place + 2]
  local former = redis.call('HGET', docs, name)
  if former then redis.call('ZREM', versions, string.sub(former, 1, 13) .. name) end
  redis.call('HSET', docs, name, digits .. doc)
  redis.call('ZADD', versions, 0, digits .. name)
end
transfer.reached('records', ARGV[1])
