"""One hub over each store for the whole run, and in it a tenant of its own for each test."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.e2e.tenant import Tenant
from tests.faults.hub import Hub, hub_on
from tests.plain_http import NO_TLS
from tests.redis_servers import RedisServer

STAND_IN = f"""#!{sys.executable}
import sys, httpx
_, _, url, _, header, *rest = sys.argv
headers = dict([header.split(": ", 1)], **{{"Content-Type": "application/json"}})
method, body = ("POST", rest[1]) if rest else ("GET", None)
print(httpx.request(method, url, content=body, headers=headers, timeout=40).raise_for_status().text)
"""
"""Takes `-sS URL -H HEADER [--json BODY]`, for machines without curl, such as a bare Debian."""


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


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where commands are looked for."""
    if shutil.which("curl"):
        return os.environ["PATH"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "curl").write_text(STAND_IN)
    (tmp_path / "bin" / "curl").chmod(0o755)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"
