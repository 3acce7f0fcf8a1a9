"""A shop that tells the hub about each order.

Run it beside a hub, with a key that may publish:

    HUB_KEY=$(hub keys create shop --scope events:write) uvicorn examples.publish_from_fastapi:app --port 8100

    curl -X PUT http://127.0.0.1:8100/orders/o-1001 --json '{
        "total": "42.50", "currency": "EUR", "email": "ada@example.com",
        "items": [{"sku": "tea", "quantity": 2, "unit_price": "21.25"}]}'
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

log = logging.getLogger("uvicorn.error")

TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = "1"


class Item(BaseModel):
    """A line of an order. Amounts of money are decimal numbers as strings, so that no digit is lost."""

    sku: str
    quantity: int
    unit_price: str


class Order(BaseModel):
    """What a customer ordered. `email` is the customer's address."""

    total: str
    currency: str
    email: str
    items: list[Item]


class HubUnavailable(Exception):
    """The hub did not answer, or asks to be left alone for `retry_after` seconds. The same call may be repeated."""

    def __init__(self, retry_after: str = RETRY_SECONDS) -> None:
        super().__init__("the notification hub is not available")
        self.retry_after = retry_after


class EventRefused(Exception):
    """The hub does not take this event, or not with this key; a repetition will not help."""


class Notifications:
    """What the shop tells the hub. Every method may be repeated: the hub takes each event once.

    All methods raise `HubUnavailable` and `EventRefused`.
    """

    def __init__(self, hub: httpx.AsyncClient) -> None:
        self._hub = hub

    async def order_created(self, order_id: str, order: Order) -> str:
        """Publish `order.created`; gives the id of the event."""
        data = {"order_id": order_id, **order.model_dump(exclude={"email"}), "customer": {"email": order.email}}
        return await self._publish("order.created", data, key=f"order.created/{order_id}")

    async def _publish(self, type_: str, data: dict[str, object], *, key: str) -> str:
        try:
            answer = await self._hub.post(
                "/v1/events", json={"type": type_, "source": "shop", "data": data}, headers={"Idempotency-Key": key}
            )
        except httpx.TransportError as error:
            # It may have arrived nevertheless, which is why the repetition carries the same key.
            raise HubUnavailable from error
        if answer.is_server_error or answer.status_code in {httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS}:
            raise HubUnavailable(answer.headers.get("Retry-After", RETRY_SECONDS))
        if answer.is_error:
            raise EventRefused(f"the notification hub refused {type_}: {answer.text}")
        return str(answer.json()["id"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold one client, and so one pool of connections, for as long as the shop runs."""
    url, key = os.environ.get("HUB_URL", "http://127.0.0.1:8000"), os.environ.get("HUB_KEY", "")
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False) as hub:
        app.state.notifications = Notifications(hub)
        yield


app = FastAPI(title="Shop", lifespan=lifespan)
orders: dict[str, Order] = {}
"""Stands for the shop's database."""


async def notifications(request: Request) -> Notifications:
    """The dependency that tests replace: `app.dependency_overrides[notifications] = …`."""
    shared: Notifications = request.app.state.notifications
    return shared


@app.put("/orders/{order_id}", status_code=201)
async def place_order(
    order_id: str, order: Order, notify: Annotated[Notifications, Depends(notifications)]
) -> dict[str, str]:
    """Keep an order and publish it. The customer chose the id, so the request may be repeated until it succeeds."""
    if orders.setdefault(order_id, order) != order:
        raise HTTPException(409, "There is another order with this id.")
    return {"order_id": order_id, "event_id": await notify.order_created(order_id, order)}


@app.exception_handler(HubUnavailable)
async def ask_to_repeat(_: Request, error: HubUnavailable) -> JSONResponse:
    """The order is kept. The client repeats the request, and the event is published then."""
    detail = {"detail": "The order is kept, but nobody was told yet. Repeat the request."}
    return JSONResponse(detail, 503, {"Retry-After": error.retry_after})


@app.exception_handler(EventRefused)
async def report(_: Request, error: EventRefused) -> JSONResponse:
    """This is a mistake of the shop or of its key, so the log tells those who can correct it."""
    log.error("%s", error)
    return JSONResponse({"detail": "The order is kept, but the notification hub refused to announce it."}, 502)
