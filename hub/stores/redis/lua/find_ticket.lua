-- needs: tickets
-- Reads a stream ticket.
-- ARGV: digest.
-- Reply: what is kept of it, or nil when it is unknown or has expired.

return tickets.find(ARGV[1])
