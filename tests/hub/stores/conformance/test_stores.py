"""Every store keeps the promises that a store makes to one process."""

from hub.testing.stores import StoreConformance


class TestStore(StoreConformance):
    """On a file, and on three kinds of servers."""
