#!lua flags=allow-oom
-- needs: tickets
-- Keeps stream tickets for longer, where what is kept of them has not changed.
-- ARGV: for how long (ms), then each digest and what is kept in turn.
-- Reply: the digests of those that are kept for longer.

local extended = {}
for place = 2, #ARGV, 2 do
  local digest, kept = ARGV[place], ARGV[place + 1]
  if tickets.find(digest) == kept then
    tickets.keep(digest, kept, ARGV[1])
    extended[#extended + 1] = digest
  end
end
return extended
