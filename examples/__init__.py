"""Small programs that use a running hub: one publishes, one receives, one watches."""
