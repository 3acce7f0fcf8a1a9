"""A hub in this process for tests: the real app over real SQLite, spoken to in HTTP, on a clock that tests move."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import orjson

from hub.app import create_app
from hub.dispatch import Dispatcher
from hub.runtime import Process, Services, open_process
from hub.settings import Settings
from hub.stores.base import Store
from hub.telemetry.tracing import Tracing
from hub.testing.clock import ManualClock
from hub.testing.patience import patience

ADMIN_KEY = "the-admin-key-of-every-hub-in-these-tests"
ORDER = {
    "order_id": "1001",
    "total": "99.90",
    "currency": "EUR",
    "customer": {"email": "ada@example.com"},
    "items": [{"sku": "A-1", "quantity": 1, "unit_price": "99.90"}],
}


@dataclass(frozen=True, slots=True)
class Api:
    """An open hub and its clients. `admin` holds the operator's key."""

    process: Process
    services: Services
    clock: ManualClock
    admin: httpx.AsyncClient
    transport: httpx.ASGITransport

    @property
    def store(self) -> Store:
        return self.process.core.store

    @property
    def dispatcher(self) -> Dispatcher:
        assert self.process.worker is not None
        return self.process.worker.dispatcher

    def client(self, key: str | None) -> httpx.AsyncClient:
        """A client with this key, or with none."""
        return _client(self.transport, key)

    async def holder(self, *scopes: str, tenant: str = "default") -> httpx.AsyncClient:
        """A client with a new key; its tenant is made when it is missing."""
        made = await self.admin.post("/v1/tenants", json={"id": tenant, "name": tenant})
        assert made.status_code in {201, 409}, made.text
        new = {"name": "a key", "scopes": scopes, "tenant": tenant}
        issued = (await self.admin.post("/v1/keys", json=new)).raise_for_status()
        return self.client(issued.json()["key"])

    async def subscribe(self, client: httpx.AsyncClient | None = None, **members: Any) -> dict[str, Any]:
        """A new subscription; to all events into a file, unless `members` say otherwise."""
        spec = {"name": "all", "event_types": ["*"], "channel": "file", "target": {"name": "all"}, **members}
        made = await (client or self.admin).post("/v1/subscriptions", json=spec)
        assert made.status_code == 201, made.text
        subscription: dict[str, Any] = made.json()
        return subscription

    async def publish(self, type: str = "stock.low", data: Any = None, **members: Any) -> str:
        """Publish one event as the operator, and give its id."""
        accepted = await self.admin.post("/v1/events", json={"type": type, "data": data, **members})
        assert accepted.status_code == 202, accepted.text
        return str(accepted.json()["id"])

    async def until(self, holds: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Return once it holds; asked again when the feed moves, and now and then for what comes after a feed entry."""
        async with patience():
            while True:
                _, newest = await self.store.feed.bounds()
                if await holds():
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.store.feed.wait(newest)

    async def deliveries(self, status: str, count: int = 1, **query: str) -> list[dict[str, Any]]:
        """The deliveries in this status, once there are `count` of them."""
        found: list[dict[str, Any]] = []

        async def enough() -> bool:
            answer = (await self.admin.get("/v1/deliveries", params={"status": status, **query})).raise_for_status()
            found[:] = answer.json()["items"]
            return len(found) >= count

        await self.until(enough)
        return found


def settings_for(directory: Path, **changed: Any) -> Settings:
    """Settings of a hub that keeps everything in this directory and may send to loopback."""
    ours = {
        "data_dir": directory / "var",
        "admin_key": ADMIN_KEY,
        "allow_private_targets": (ip_network("127.0.0.0/8"),),
    }
    return Settings(**{**ours, **changed})


@asynccontextmanager
async def open_api(settings: Settings, clock: ManualClock | None = None) -> AsyncIterator[Api]:
    """Open a hub on this clock, or on one of its own. The app's lifespan is not run: it would open another."""
    clock = clock or ManualClock()
    app = create_app(settings)
    async with open_process(settings, Tracing(""), clock) as process:
        assert process.services is not None
        app.state.process, app.state.services = process, process.services
        transport = httpx.ASGITransport(app=app)
        async with _client(transport, ADMIN_KEY) as admin:
            yield Api(process, process.services, clock, admin, transport)


def _client(transport: httpx.ASGITransport, key: str | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers)


def pointers(answer: httpx.Response) -> list[str]:
    """Where a problem says the request is at fault."""
    return [fault["pointer"] for fault in answer.json()["errors"]]


def ndjson(*values: Any) -> bytes:
    return b"\n".join(map(orjson.dumps, values))
