-- needs: key, clock, stored
-- Reads an idempotency record.
-- ARGV: tenant, digest of the key.
-- Reply: the record (see accept.lua), or nil where there is none that still counts.

local record = redis.call('GET', key.idempotency(ARGV[1], ARGV[2]))
local expires = record and tonumber(stored.members(record)[3])
return expires and expires > clock.now and record or nil
