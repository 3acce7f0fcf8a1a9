"""What is registered: tenants and their keys, subscriptions, event types, sources."""
