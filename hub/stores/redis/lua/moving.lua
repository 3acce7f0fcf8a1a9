-- How far everything of another store was moved into this one.
--
--   transfer  hash: section -> where its last piece ended

local moving = {}

function moving.reached(section, place)
  redis.call('HSET', HUB .. ':transfer', section, place)
end
