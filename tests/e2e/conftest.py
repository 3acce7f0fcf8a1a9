"""One hub over each store for the whole run, and in it a tenant of its own for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from secrets import token_hex

import httpx
import pytest

from tests.e2e.tenant import Tenant
from tests.faults.hub_process import HubProcess


@pytest.fixture(scope="session", params=["sqlite"])
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A running hub on the store of this scheme, which may send to loopback."""
    process = HubProcess(tmp_path_factory.mktemp(str(request.param)))
    asyncio.run(process.start())
    yield process
    asyncio.run(process.kill())


@pytest.fixture
async def tenant(process: HubProcess) -> AsyncIterator[Tenant]:
    """A new tenant that holds a key with every scope but `admin`."""
    name = f"t{token_hex(6)}"
    async with process.client() as operator:
        (await operator.post("/v1/tenants", json={"id": name, "name": name})).raise_for_status()
        new = {"name": "all", "scopes": ["events:write", "read", "manage"], "tenant": name}
        key = (await operator.post("/v1/keys", json=new)).raise_for_status().json()["key"]
    async with httpx.AsyncClient(
        base_url=process.url, headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False
    ) as api:
        yield Tenant(api, name)
