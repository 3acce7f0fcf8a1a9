"""Many processes on one store: leases, the leader, and the changes that the others made."""
