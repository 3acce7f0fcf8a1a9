-- Unpacks what is stored. One thing that is damaged must not fail a script that has others to work on.

local stored = {}

-- The members of a stored array; none where it is damaged.
function stored.members(packed)
  local ok, members = pcall(cmsgpack.unpack, packed)
  return ok and type(members) == 'table' and members or {}
end

return stored
