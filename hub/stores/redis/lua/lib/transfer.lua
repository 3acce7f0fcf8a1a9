-- needs: key
-- How far everything of another store was moved into this one.
--
--   transfer  hash: section -> where its last piece ended

local transfer = {}

function transfer.reached(section, place)
  redis.call('HSET', key.transfer, section, place)
end

return transfer
