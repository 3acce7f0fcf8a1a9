-- needs: key
-- Calls that are made again because their answer was lost. A script that finds its own number here has been carried
-- out: it gives the answer of the first time, and writes nothing.
--
-- A process numbers its calls of each kind and makes one at a time, so the answer to the last call of a kind is all
-- that has to be kept: call:<process>:<kind> is a string of number and answer (msgpack). It expires an hour after the
-- last call, when the process has long given up. Each start of a process takes a new name, so numbers may begin at 1
-- again.

local calls = {}
local KEPT_SECONDS = 3600

-- The last call of a process, if it came after the call `number`: its number and its answer.
function calls.after(process, kind, number)
  local kept = redis.call('GET', key.call(process, kind))
  if not kept then return nil end
  local last, answer = cmsgpack.unpack(kept)
  if last > tonumber(number) then return last, answer end
end

-- The answer that this call got when it came before, or nil if it comes for the first time.
function calls.answered(process, kind, number)
  local last, answer = calls.after(process, kind, number - 1)
  if last == tonumber(number) then return answer end
end

-- Keep the answer to a call, and return it.
function calls.answer(process, kind, number, answer)
  redis.call('SET', key.call(process, kind), cmsgpack.pack(tonumber(number), answer), 'EX', KEPT_SECONDS)
  return answer
end

return calls
