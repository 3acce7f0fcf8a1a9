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
    """A running server that nobody else uses."""
    with RedisServer({"valkey": VALKEY, "redis7": REDIS_7}[store], tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[ToxicProxy]:
    """Before the server; nobody uses it unless told to."""
    async with ToxicProxy(server.port) as proxy:
        yield proxy
