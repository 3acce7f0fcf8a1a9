"""What a tenant does with a running hub, over HTTP and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from hub.testing.patience import patience

ORDER = {
    "order_id": "1001",
    "total": "99.90",
    "currency": "EUR",
    "customer": {"email": "ada@example.com", "name": "Ada <Lovelace>"},
    "items": [{"sku": "A-1", "name": "Analytical engine", "quantity": 1, "unit_price": "99.90"}],
}


class Tenant:
    """Each method calls the hub, and asserts that it answers as it should."""

    def __init__(self, api: httpx.AsyncClient, name: str) -> None:
        self.api = api
        self.name = name

    async def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of an answer that must be a success."""
        answer = await self.api.request(method, path, **request)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def subscribe(self, channel: str, target: dict[str, Any], **members: Any) -> str:
        """Subscribe to everything, unless `members` say otherwise; gives the id."""
        spec = {"name": channel, "event_types": ["*"], "channel": channel, "target": target, **members}
        made: dict[str, str] = await self.call("POST", "/v1/subscriptions", json=spec)
        return made["id"]

    async def publish(self, type: str = "drill.tick", data: Any = None, **members: Any) -> str:
        """Publish one event; gives its id."""
        accepted: dict[str, str] = await self.call("POST", "/v1/events", json={"type": type, "data": data, **members})
        return accepted["id"]

    async def deliveries(self, event_id: str) -> list[dict[str, Any]]:
        """Every delivery of an event, with its attempts."""
        listed = await self.call("GET", f"/v1/events/{event_id}/deliveries")
        return [await self.call("GET", f"/v1/deliveries/{item['id']}") for item in listed["items"]]

    async def delivery(self, event_id: str, *statuses: str) -> dict[str, Any]:
        """The only delivery of an event, once it is `delivered`, or in one of these statuses."""
        wanted = statuses or ("delivered",)
        async with patience():
            while True:
                (delivery,) = await self.deliveries(event_id)
                if delivery["status"] in wanted:
                    return delivery
                await asyncio.sleep(0.03)

    @asynccontextmanager
    async def listening(self, **query: str) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """The events of the live stream, from now on."""
        async with aconnect_sse(self.api, "GET", "/v1/stream", params=query) as source:
            assert source.response.status_code == 200
            events = source.aiter_sse()
            yield (event async for event in events if event.event != "cursor")
