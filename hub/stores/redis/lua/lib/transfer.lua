-- needs: key
-- How far a copy of another store into this one has come. It is written with each piece, so that a copy that is
-- interrupted goes on where it was.
--
--   transfer  hash: section -> where its last piece ended

local transfer = {}

function transfer.reached(section, place)
  redis.call('HSET', key.transfer, section, place)
end

return transfer
