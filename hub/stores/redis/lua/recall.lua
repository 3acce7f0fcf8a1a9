-- needs: key, clock
-- Reads an idempotency record.
-- ARGV: tenant, digest of the key.
-- Reply: the record (see accept.lua), or nil where there is none that still counts.

local record = redis.call('GET', key.idempotency(ARGV[1], ARGV[2]))
return record and cmsgpack.unpack(record)[3] > clock.now and record or nil
