"""Processes of one hub, each with some of its roles."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from hub.app import create_app
from hub.cluster.roles import Role
from hub.runtime import Process, Services
from hub.settings import Settings
from hub.tasks import Progress
from tests.api_support import ADMIN_KEY

SECRET_KEY = "the-secret-key-of-every-hub-in-these-tests"


@dataclass(frozen=True, slots=True)
class Started:
    """A process with these roles; `client` holds the operator's key."""

    process: Process
    client: httpx.AsyncClient

    @property
    def services(self) -> Services:
        assert self.process.services is not None
        return self.process.services


@asynccontextmanager
async def started(settings: Settings, *roles: Role) -> AsyncIterator[Started]:
    app = create_app(settings, frozenset(roles))
    async with app.router.lifespan_context(app):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
            yield Started(app.state.process, client)


Start = Callable[..., Awaitable[Started]]


async def subscribe(web: Started, **members: Any) -> dict[str, Any]:
    spec = {"name": "all", "event_types": ["*"], "channel": "file", "target": {"name": "all"}, **members}
    made = await web.client.post("/v1/subscriptions", json=spec)
    assert made.status_code == 201, made.text
    subscription: dict[str, Any] = made.json()
    return subscription


async def deliveries(web: Started, status: str) -> int:
    return len((await web.client.get("/v1/deliveries", params={"status": status})).json()["items"])


async def endless(progress: Progress) -> Mapping[str, Any]:
    return dict(await asyncio.get_running_loop().create_future())
