-- needs: transfer
-- Remembers how far a section was moved.
-- ARGV: section, where it ended.

transfer.reached(ARGV[1], ARGV[2])
