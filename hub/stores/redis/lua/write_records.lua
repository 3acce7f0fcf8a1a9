-- needs: key, feed, signals, loss, records
-- Writes records of the catalogue as one, in a new version.
-- ARGV: a name of this call, so that it writes once also when it is made again because its reply was lost; epoch; feed
--   id seen; the version that must be the current one, or ''; how many records; each as name and doc ('' for
--   a deletion); feed entries as they are kept.
-- Reply: epoch, lost feed entries, last feed id, and the new version, or -1 when the current one is another.

local call, expected = ARGV[1], ARGV[4]
local count, first = tonumber(ARGV[5]), 6

local epoch, gone = loss.keep(ARGV[2], ARGV[3])
local function answer(version)
  return { epoch, gone, feed.last(), version }
end

local version = records.version()
if redis.call('HGET', key.meta, 'written') == call then return answer(version) end
if expected ~= '' and tonumber(expected) ~= version then return answer(-1) end

if count > 0 then
  local named = {}
  for place = first, first + 2 * count - 1 do named[#named + 1] = ARGV[place] end
  version = records.write(named)
end
feed.append(feed.arguments(first + 2 * count))
signals.send()
redis.call('HSET', key.meta, 'written', call)
return answer(version)
