"""Clients that others wrote, and a real hub."""
