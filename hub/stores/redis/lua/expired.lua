-- needs: key, claims
-- Reads pending deliveries whose events have expired.
-- ARGV: at that instant (ms), how many to look at.
-- Reply: rows of id and CLAIM_FIELDS.

local SENDING_AGAIN_MS = 60000
local at, rows = tonumber(ARGV[1]), {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key.delivery_expiries, '-inf', at, 'LIMIT', 0, ARGV[2])) do
  local delivery = claims.read(id)
  if delivery and delivery.st == 'pending' then
    rows[#rows + 1] = claims.row(delivery)
  elseif delivery and delivery.st == 'sending' then
    -- Its attempt may be given back without a result, and then it waits again.
    redis.call('ZADD', key.delivery_expiries, at + SENDING_AGAIN_MS, id)
  else
    redis.call('ZREM', key.delivery_expiries, id)
  end
end
return rows
