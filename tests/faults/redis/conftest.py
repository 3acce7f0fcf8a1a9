"""Drills of the Redis store: each has a server of its own, which it may harm."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.toxic_proxy import ToxicProxy
from tests.redis_servers import REDIS_7, VALKEY, RedisServer


@pytest.fixture(params=["valkey", pytest.param("redis7", marks=[pytest.mark.redis7, pytest.mark.drill])])
def store(request: pytest.FixtureRequest) -> str:
    """Which server it is; Debian's takes its turn in `make drills`."""
    return str(request.param)


@pytest.fixture
def server(store: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A running server that nobody else uses, and that hands each write to the kernel before it answers, so that
    killing it loses nothing: with `everysec` it keeps its writes to itself while a sync takes its time."""
    binary = {"valkey": VALKEY, "redis7": REDIS_7}[store]
    with RedisServer(binary, tmp_path / "redis", appendfsync="no") as server:
        yield server


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[ToxicProxy]:
    """Before the server; nobody uses it unless told to."""
    async with ToxicProxy(server.port) as proxy:
        yield proxy
