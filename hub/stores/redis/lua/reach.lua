-- Remembers how far a section was moved.
-- ARGV: section, where it ended.

moving.reached(ARGV[1], ARGV[2])
