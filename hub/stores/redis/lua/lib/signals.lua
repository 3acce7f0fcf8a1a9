-- needs: key
-- What other processes are told of this script, all at once by `signals.send()` at its end.
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
    fields[1], fields[2] = 'due', cmsgpack.pack(signals.due)
  end
  for name, told in pairs({ fans_out = signals.fan, catalogue = signals.cat }) do
    if told then
      fields[#fields + 1] = name
      fields[#fields + 1] = 1
    end
  end
  local id = string.format('%d-0', redis.call('HINCRBY', key.meta, 'signals', 1))
  redis.call('XADD', key.signals, 'MAXLEN', '~', SIGNALS_KEPT, id, unpack(fields))
  signals.due, signals.fan, signals.cat, signals.any = {}, nil, nil, nil
end

return signals
