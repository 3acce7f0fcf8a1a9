-- needs: selection
-- Picks the events or deliveries that a query selects.
-- ARGV: wanted, as lib/selection.lua has it (msgpack); the part of a hash's key between prefix and id; ids.
-- Reply: the ids that are selected, in this order.

local is_wanted, kind = selection.of(cmsgpack.unpack(ARGV[1])), KEYS[1] .. ARGV[2]

local found = {}
for place = 3, #ARGV do
  if is_wanted(kind .. ARGV[place]) then found[#found + 1] = ARGV[place] end
end
return found
