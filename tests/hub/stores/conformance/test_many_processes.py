"""Stores that belong to any number of processes keep the promises that they make to all of them together."""

import pytest

from hub.testing.stores import SharedStoreConformance


@pytest.mark.parametrize("url", ["valkey", pytest.param("redis7", marks=pytest.mark.redis7), "cluster"], indirect=True)
class TestSharedStore(SharedStoreConformance):
    """On three kinds of servers."""
