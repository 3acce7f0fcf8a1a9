-- needs: tickets
-- Keeps something of a stream ticket.
-- ARGV: digest, what is kept, for how long (ms).

tickets.keep(ARGV[1], ARGV[2], ARGV[3])
