"""The shop announces its orders through a hub, and says what a client has to know when it cannot."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from examples.publish_from_fastapi import Notifications, Order, app, lifespan, notifications
from hub.testing.patience import PATIENCE_SECONDS
from hub.testing.receivers import Receiver, Reply
from tests.examples.conftest import Tenant
from tests.examples.program import serving_app
from tests.plain_http import NO_TLS
from tests.redis_servers import free_port

ITEMS = [{"sku": "tea", "quantity": 2, "unit_price": "21.25"}]
ORDER = {"total": "42.50", "currency": "EUR", "email": "ada@example.com", "items": ITEMS}


def put(shop: str, order_id: str, **changes: str) -> httpx.Response:
    """What the shop answers to an order."""
    return httpx.put(
        f"{shop}/orders/{order_id}", json={**ORDER, **changes}, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False
    )


def test_an_order_is_an_event_of_the_hub_once(tenant: Tenant) -> None:
    with serving_app("publish_from_fastapi", HUB_URL=tenant.url, HUB_KEY=tenant.key("events:write")) as (_, shop):
        first, again = put(shop, "o-1"), put(shop, "o-1")
        other = put(shop, "o-1", total="1.00")
    assert first.status_code == 201, first.text
    assert again.json() == first.json()
    assert other.status_code == 409
    (event,) = tenant.call("GET", "/v1/events")["items"]
    assert (event["id"], event["type"], event["source"]) == (first.json()["event_id"], "order.created", "shop")
    data: dict[str, Any] = tenant.call("GET", f"/v1/events/{event['id']}")["data"]
    customer = {"email": "ada@example.com"}
    assert data == {"order_id": "o-1", "total": "42.50", "currency": "EUR", "customer": customer, "items": ITEMS}


async def test_a_busy_hub_makes_the_shop_ask_for_a_repetition_that_carries_the_same_key() -> None:
    busy = [Reply(503, headers={"Retry-After": "7"}), Reply(429), Reply(202, body='{"id": "evt_1"}')]
    async with (
        Receiver(busy) as receiver,
        httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False) as client,
    ):
        with serving_app("publish_from_fastapi", HUB_URL=receiver.url, HUB_KEY="k") as (_, shop):
            answers = [await client.put(f"{shop}/orders/o-1", json=ORDER) for _ in busy]
    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["7", "1", None]
    assert {arrival.headers["Idempotency-Key"] for arrival in receiver.requests} == {"order.created/o-1"}
    assert len({arrival.body for arrival in receiver.requests}) == 1


def test_a_hub_that_is_away_makes_the_shop_ask_for_a_repetition() -> None:
    with serving_app("publish_from_fastapi", HUB_URL=f"http://127.0.0.1:{free_port()}") as (_, shop):
        answer = put(shop, "o-1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_a_refused_event_is_a_mistake_that_the_log_names(tenant: Tenant) -> None:
    with serving_app("publish_from_fastapi", HUB_URL=tenant.url, HUB_KEY=tenant.key("read")) as (program, shop):
        answer = put(shop, "o-1")
        program.printed("refused order.created: .*scope")
    assert answer.status_code == 502


class Recorded(Notifications):
    """Stands for the hub in a test of the shop: it keeps what it is told."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    async def order_created(self, order_id: str, order: Order) -> str:
        self.orders.append(order_id)
        return "evt_recorded"


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    recorded = Recorded()
    app.dependency_overrides[notifications] = lambda: recorded
    yield recorded
    app.dependency_overrides.clear()


async def test_a_test_of_the_shop_replaces_the_dependency_and_sends_nothing(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver:
        monkeypatch.setenv("HUB_URL", receiver.url)
        transport = httpx.ASGITransport(app)
        async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://shop") as shop:
            answer = await shop.put("/orders/o-1", json=ORDER)
    assert answer.json() == {"order_id": "o-1", "event_id": "evt_recorded"}
    assert recorded.orders == ["o-1"]
    assert receiver.requests == []
