"""What the hub tells its operator: logs, metrics and traces, with secrets removed."""
