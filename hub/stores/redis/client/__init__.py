"""Talking to a Redis server: its URL, connections, scripts and errors, and calls that survive a failover."""
