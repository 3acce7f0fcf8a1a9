-- needs: transfer
-- Remembers how far a section was copied.
-- ARGV: section, where it ended.

transfer.reached(ARGV[1], ARGV[2])
