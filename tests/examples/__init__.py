"""The example programs, each run as a person runs it, beside a real hub."""
