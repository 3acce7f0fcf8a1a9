"""Whether a server, and what it holds, can be trusted: looked at before the hub writes, and while it runs."""
