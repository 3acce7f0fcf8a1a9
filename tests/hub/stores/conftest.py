"""An open store on a clock that tests move."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from hub.stores import open_store
from hub.stores.base import Store
from hub.testing.clock import ManualClock
from hub.testing.stores import OpenStore, StoreFactory
from tests.redis_servers import RedisCluster, RedisServer


@pytest.fixture(params=["sqlite", "valkey", pytest.param("redis7", marks=pytest.mark.redis7), "cluster"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store: a file, or a prefix of its own on servers that the whole run shares."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    servers: RedisServer | RedisCluster = request.getfixturevalue(request.param)
    return servers.url()


@pytest.fixture(name="open_store")
def factory(url: str, clock: ManualClock) -> StoreFactory:
    return partial(open_store, url, clock)


@pytest.fixture
async def opened(open_store: StoreFactory) -> AsyncIterator[OpenStore]:
    opened = OpenStore(open_store)
    yield opened
    await opened.close()


@pytest.fixture
async def store(opened: OpenStore) -> Store:
    return await opened.open()
