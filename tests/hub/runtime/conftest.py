"""Processes of one hub, on one store that they share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hub.cluster.roles import Role
from tests.api_support import settings_for
from tests.hub.runtime.parts import SECRET_KEY, Start, Started, started
from tests.redis_servers import RedisServer


@pytest.fixture
def store_url(valkey: RedisServer) -> str:
    return valkey.url()


@pytest.fixture
async def start(store_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts another process of one hub, on a machine of its own."""
    async with AsyncExitStack() as stack:
        count = iter(range(100))

        async def another(*roles: Role, **changed: Any) -> Started:
            given = {"store_url": store_url, "secret_key": SECRET_KEY, **changed}
            settings = settings_for(tmp_path / str(next(count)), **given)
            return await stack.enter_async_context(started(settings, *roles))

        yield another
