-- needs: key
-- Calls that are made again after their answer was lost.
--
-- A process numbers its calls of each kind and makes one at a time, so the answer to the last of each is all that is
-- kept: call:<process>:<kind> is a string of number and answer (msgpack), gone an hour after the last call.

local calls = {}
local KEPT_SECONDS = 3600

-- The last call of a process, if it came after the call `heard`: its number and its answer.
function calls.after(process, kind, heard)
  local kept = redis.call('GET', key.call(process, kind))
  if not kept then return nil end
  local last, answer = cmsgpack.unpack(kept)
  if last > tonumber(heard) then return last, answer end
end

-- The answer that this call was given, or nil if it is the first time that it comes.
function calls.answered(process, kind, number)
  local last, answer = calls.after(process, kind, number - 1)
  if last == tonumber(number) then return answer end
end

-- Keep an answer, and give it.
function calls.answer(process, kind, number, answer)
  redis.call('SET', key.call(process, kind), cmsgpack.pack(tonumber(number), answer), 'EX', KEPT_SECONDS)
  return answer
end

return calls
