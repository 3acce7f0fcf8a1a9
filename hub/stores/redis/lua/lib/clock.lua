-- needs: key
-- The instant of this call (ms since 1970), one for all of a script: the server's, so that no process's clock decides
-- about what other processes do. See docs/decisions/0027.
--
-- Only tests and simulations write the hash `clock`: with `at` (ms) time stands still there, with `offset` (ms) it is
-- that far ahead of the server's.

local clock = {}

local at, offset = unpack(redis.call('HMGET', key.clock, 'at', 'offset'), 1, 2)
if at then
  clock.now = tonumber(at)
else
  local seconds, microseconds = unpack(redis.call('TIME'), 1, 2)
  clock.now = seconds * 1000 + math.floor(microseconds / 1000) + tonumber(offset or 0)
end

return clock
