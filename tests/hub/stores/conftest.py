"""An open store on a clock that tests move."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hub.stores import open_store
from hub.stores.base import Store
from tests.clock import ManualClock
from tests.redis_servers import RedisCluster, RedisServer


class OpenStore:
    """A store that can be closed and opened again, as over a restart of the hub."""

    def __init__(self, url: str, clock: ManualClock) -> None:
        self.url = url
        self._clock = clock
        self._stack = AsyncExitStack()

    async def open(self) -> Store:
        return await self._stack.enter_async_context(open_store(self.url, self._clock))

    async def close(self) -> None:
        await self._stack.aclose()

    async def reopen(self) -> Store:
        await self.close()
        return await self.open()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "valkey", pytest.param("redis7", marks=pytest.mark.redis7), "cluster"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store: a file, or a prefix of its own on servers that the whole run shares."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    servers: RedisServer | RedisCluster = request.getfixturevalue(request.param)
    return servers.url()


@pytest.fixture
async def opened(url: str, clock: ManualClock) -> AsyncIterator[OpenStore]:
    opened = OpenStore(url, clock)
    yield opened
    await opened.close()


@pytest.fixture
async def store(opened: OpenStore) -> Store:
    return await opened.open()
