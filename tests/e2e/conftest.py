"""One hub over each store for the whole run, and in it a tenant of its own for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from secrets import token_hex

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.e2e.tenant import Tenant
from tests.faults.hub import Hub, hub_on
from tests.plain_http import NO_TLS
from tests.redis_servers import RedisServer


@pytest.fixture(scope="session", params=["sqlite", "redis"])
def server(request: pytest.FixtureRequest) -> RedisServer | None:
    """The Redis that hubs keep everything in; None where their store is a file."""
    shared: RedisServer | None = request.getfixturevalue("valkey") if request.param == "redis" else None
    return shared


@pytest.fixture(scope="session")
def hub(server: RedisServer | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A running hub, which may send to loopback."""
    hub = hub_on(server, tmp_path_factory.mktemp("hub"))
    asyncio.run(hub.start())
    yield hub
    asyncio.run(hub.kill())


@pytest.fixture
async def tenant(hub: Hub) -> AsyncIterator[Tenant]:
    """A new tenant that holds a key with every scope but `admin`."""
    name = f"t{token_hex(6)}"
    async with hub.client() as operator:
        (await operator.post("/v1/tenants", json={"id": name, "name": name})).raise_for_status()
        new = {"name": "all", "scopes": ["events:write", "read", "manage"], "tenant": name}
        key = (await operator.post("/v1/keys", json=new)).raise_for_status().json()["key"]
    async with httpx.AsyncClient(
        base_url=hub.url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=PATIENCE_SECONDS,
        verify=NO_TLS,
        trust_env=False,
    ) as api:
        yield Tenant(api, name)
