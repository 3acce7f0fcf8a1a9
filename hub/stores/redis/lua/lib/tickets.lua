-- needs: key, clock
-- Stream tickets: ticket:<digest> is a string of 13 digits of its expiry (ms) and what is kept of it.

local tickets = {}
-- The expiry that is kept decides, by the time that tests move. The server's own, by real time, only clears what was
-- left behind, so it comes an hour later.
local FORGOTTEN_MS = 3600000

-- Keep this of a ticket for `span` (ms).
function tickets.keep(digest, kept, span)
  local ends = string.format('%013d', clock.now + tonumber(span))
  redis.call('SET', key.ticket(digest), ends .. kept, 'PX', span + FORGOTTEN_MS)
end

-- What is kept of a ticket, or nil.
function tickets.find(digest)
  local present = redis.call('GET', key.ticket(digest))
  return present and tonumber(string.sub(present, 1, 13)) > clock.now and string.sub(present, 14) or nil
end

return tickets
