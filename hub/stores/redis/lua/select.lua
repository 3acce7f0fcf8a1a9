-- needs: selection
-- Picks what a query wants.
-- ARGV: wanted, as selection.lua has it (msgpack); what stands before an id in the names of the hashes to look at; ids.
-- Reply: the ids that are wanted, in this order.

local is_wanted, kind = selection.of(cmsgpack.unpack(ARGV[1])), KEYS[1] .. ARGV[2]

local found = {}
for place = 3, #ARGV do
  if is_wanted(kind .. ARGV[place]) then found[#found + 1] = ARGV[place] end
end
return found
