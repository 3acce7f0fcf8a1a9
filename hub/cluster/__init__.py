"""Many processes on one store: leases, the leader, the news of work, and what the other processes changed."""
