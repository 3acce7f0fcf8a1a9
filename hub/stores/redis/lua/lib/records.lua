-- needs: key, signals
-- The records of the catalogue, written as one in a new version.
--
--   records          hash name -> 13 digits of version, doc
--   record-versions  sorted set of scores 0: 13 digits of version, name

local records = {}

-- The version of the catalogue.
function records.version()
  return tonumber(redis.call('HGET', key.meta, 'version') or 0)
end

-- The version in which a record was last written, or nil.
function records.version_of(name)
  local kept = redis.call('HGET', key.records, name)
  return kept and tonumber(string.sub(kept, 1, 13))
end

-- Write records: a list of name and doc in turn ('' for a deletion). Returns the new version.
function records.write(named)
  local version = redis.call('HINCRBY', key.meta, 'version', 1)
  -- In the index each record stands once, under its last version, so a reader who is behind never reads one twice.
  local digits = string.format('%013d', version)
  for place = 1, #named, 2 do
    local name, doc = named[place], named[place + 1]
    local former = redis.call('HGET', key.records, name)
    if former then redis.call('ZREM', key.record_versions, string.sub(former, 1, 13) .. name) end
    redis.call('HSET', key.records, name, digits .. doc)
    redis.call('ZADD', key.record_versions, 0, digits .. name)
  end
  signals.catalogue()
  return version
end

return records
