-- needs: key, feed, signals, loss
-- Writes records of the catalogue as one, in a new version.
-- ARGV: a name of this call, so that it writes once also when it is made again because its reply was lost; epoch; feed
--   id seen; the version that must be the current one, or ''; how many records; each as name and doc ('' for
--   a deletion); feed entries as they are kept.
-- Reply: epoch, lost feed entries, last feed id, and the new version, or -1 when the current one is another.
--
--   records          hash name -> 13 digits of version, doc
--   record-versions  sorted set of scores 0: 13 digits of version, name

local call, expected = ARGV[1], ARGV[4]
local count, first = tonumber(ARGV[5]), 6
local docs, versions = key.records, key.record_versions

local epoch, gone = loss.keep(ARGV[2], ARGV[3])
local function answer(version)
  return { epoch, gone, feed.last(), version }
end

local version = tonumber(redis.call('HGET', key.meta, 'version') or 0)
if redis.call('HGET', key.meta, 'written') == call then return answer(version) end
if expected ~= '' and tonumber(expected) ~= version then return answer(-1) end

if count > 0 then
  version = redis.call('HINCRBY', key.meta, 'version', 1)
  -- In the index each record stands once, under its last version, so a reader who is behind never reads one twice.
  local digits = string.format('%013d', version)
  for place = first, first + 2 * count - 1, 2 do
    local name, doc = ARGV[place], ARGV[place + 1]
    local former = redis.call('HGET', docs, name)
    if former then redis.call('ZREM', versions, string.sub(former, 1, 13) .. name) end
    redis.call('HSET', docs, name, digits .. doc)
    redis.call('ZADD', versions, 0, digits .. name)
  end
  signals.catalogue()
end
feed.append(feed.arguments(first + 2 * count))
signals.send()
redis.call('HSET', key.meta, 'written', call)
return answer(version)
