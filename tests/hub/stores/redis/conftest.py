"""A store behind a proxy that misbehaves, and a second handle on the same store, as another process has it."""

from collections.abc import AsyncIterator

import pytest

from hub.stores import open_store
from hub.stores.base import Store
from hub.testing.clock import ManualClock
from tests.faults.toxic_proxy import ToxicProxy
from tests.redis_servers import RedisServer, new_prefix


@pytest.fixture
def prefix() -> str:
    return new_prefix()


@pytest.fixture
def url(valkey: RedisServer, prefix: str) -> str:
    """The address of an empty store."""
    return valkey.url(prefix)


@pytest.fixture
async def proxy(valkey: RedisServer) -> AsyncIterator[ToxicProxy]:
    async with ToxicProxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture
async def behind(valkey: RedisServer, proxy: ToxicProxy, prefix: str, clock: ManualClock) -> AsyncIterator[Store]:
    """The store, seen through the proxy."""
    async with open_store(valkey.url(prefix, port=proxy.port), clock) as store:
        # Long outages are soon over.
        store.queue._engine.patience_seconds = 0.4  # type: ignore[attr-defined]
        yield store


@pytest.fixture
async def other(url: str, clock: ManualClock) -> AsyncIterator[Store]:
    """The store, as another process has it open."""
    async with open_store(url, clock) as store:
        yield store
