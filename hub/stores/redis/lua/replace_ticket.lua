#!lua flags=allow-oom
-- needs: tickets
-- Keeps something else of a stream ticket, where the former is what is kept.
-- ARGV: digest, the former, what to keep, for how long (ms).
-- Reply: 1, or 0 when nothing was changed.

local digest, former, following, span = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local present = tickets.find(digest)
-- The same call again, because its answer was lost.
if present == following then return 1 end
if present ~= former then return 0 end
tickets.keep(digest, following, span)
return 1
