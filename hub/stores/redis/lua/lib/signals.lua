-- needs: key, clock
-- Signals to other processes, collected while a script runs and written as one entry by `signals.send()` at its end.
--
-- Ids are given by a counter, as in the feed: a reader sees from a gap that it missed signals, and looks at everything.
-- Signals are hints, so the stream is short.
local SIGNALS_KEPT = 10000
local signals = { due = {} }

-- A lane has work from `due` on (nil: now).
function signals.lane(lane, due)
  due = tonumber(due or 0)
  local other = signals.due[lane]
  if not other or due < other then signals.due[lane] = due end
  signals.any = true
end

function signals.fans_out()
  signals.fan, signals.any = true, true
end

function signals.catalogue()
  signals.cat, signals.any = true, true
end

function signals.send()
  if not signals.any then return end
  local fields = {}
  if next(signals.due) then
    fields = { 'due', cmsgpack.pack(signals.due), 'now', clock.now }
  end
  for name, is_set in pairs({ fans_out = signals.fan, catalogue = signals.cat }) do
    if is_set then
      fields[#fields + 1] = name
      fields[#fields + 1] = 1
    end
  end
  local id = string.format('%d-0', redis.call('HINCRBY', key.meta, 'signals', 1))
  redis.call('XADD', key.signals, 'MAXLEN', '~', SIGNALS_KEPT, id, unpack(fields))
  signals.due, signals.fan, signals.cat, signals.any = {}, nil, nil, nil
end

return signals
