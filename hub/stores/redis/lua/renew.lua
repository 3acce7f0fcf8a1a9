#!lua flags=allow-oom
-- needs: key, gate
-- Extends leases, where the token still matches: a delivery that another process took over is not this one's to keep.
--
-- ARGV: lease (ms), claims (msgpack): delivery id and token in turn.

for _, claim in ipairs(cmsgpack.unpack(ARGV[2])) do
  local status, token, lane = unpack(redis.call('HMGET', key.delivery(claim[1]), 'st', 'tok', 'sub'), 1, 3)
  if status == 'sending' and tonumber(token) == claim[2] then gate.renewed(lane, claim[1], tonumber(ARGV[1])) end
end
