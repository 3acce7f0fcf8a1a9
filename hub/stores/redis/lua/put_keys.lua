-- needs: key, indexes, stored, transfer
-- Writes idempotency records of another store.
-- ARGV: where the piece ended; each record as tenant, digest, expiry (ms) and record.

for place = 2, #ARGV, 4 do
  local tenant, digest, expires, record = unpack(ARGV, place, place + 3)
  local former = redis.call('GET', key.idempotency(tenant, digest))
  redis.call('SET', key.idempotency(tenant, digest), record)
  indexes.key_kept(tenant, digest, expires, former and tonumber(stored.members(former)[3]))
end
transfer.reached('idempotency', ARGV[1])
