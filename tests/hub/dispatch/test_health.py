"""How the targets of subscriptions fare."""

from typing import Any

import pytest

from hub.dispatch.health import Health, health_of
from hub.stores.base import BreakerState, LaneHealth
from tests.api_support import Api
from tests.clock import START
from tests.hub.dispatch.parts import Parts
from tests.receivers import Receiver

pytestmark = pytest.mark.usefixtures("unswept")


async def get(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = (await api.admin.get(f"/v1/subscriptions/{made['id']}")).json()
    return shown


async def test_a_subscription_is_healthy_while_its_target_takes_everything(api: Api) -> None:
    made = await api.subscribe()
    health = (await get(api, made))["health"]
    assert health == {
        "state": "healthy", "consecutive_failures": 0, "open_until": None, "pending": 0, "last_delivery": None
    }  # fmt: skip
    await api.publish()
    (delivered,) = await api.deliveries("delivered")
    assert (await get(api, made))["health"]["last_delivery"] == delivered


async def test_a_subscription_is_failing_after_a_failure_and_open_after_many(api: Api) -> None:
    async with Receiver(lambda _: 500) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, retry_schedule=[600])
        await api.publish()
        await api.until(lambda: has_failed(api, made, 1))
        health = (await get(api, made))["health"]
        assert (health["state"], health["consecutive_failures"], health["pending"]) == ("failing", 1, 1)
        for _ in range(9):
            await api.publish()
        await api.until(lambda: has_failed(api, made, 10))
        await api.deliveries("pending", 10)
    health = (await get(api, made))["health"]
    assert (health["state"], health["pending"]) == ("open", 10)
    assert health["open_until"] > "2026-11-23T12:00:01"


async def has_failed(api: Api, made: dict[str, Any], times: int) -> bool:
    return bool((await get(api, made))["health"]["consecutive_failures"] >= times)


async def test_a_target_that_is_gone_disables_its_subscription_with_that_reason(api: Api) -> None:
    async with Receiver([410]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url})
        await api.publish()
        await api.until(lambda: is_disabled(api, made))
    assert "410" in (await get(api, made))["disabled_reason"]


async def is_disabled(api: Api, made: dict[str, Any]) -> bool:
    return bool((await get(api, made))["health"]["state"] == "disabled")


@pytest.mark.parametrize(
    ("lane", "shown"),
    [
        (None, Health(state="healthy", consecutive_failures=0)),
        (LaneHealth(3), Health(state="failing", consecutive_failures=3)),
        (LaneHealth(10, BreakerState.OPEN, START), Health(state="open", consecutive_failures=10, open_until=START)),
        (LaneHealth(10, BreakerState.HALF_OPEN), Health(state="failing", consecutive_failures=10)),
        (LaneHealth(0, BreakerState.HALF_OPEN), Health(state="failing", consecutive_failures=0)),
    ],
)
async def test_a_target_is_as_healthy_as_its_lane(parts: Parts, lane: LaneHealth | None, shown: Health) -> None:
    assert health_of(await parts.subscribe(), lane) == shown


async def test_of_a_disabled_subscription_nothing_else_matters(parts: Parts) -> None:
    disabled = await parts.subscribe(enabled=False)
    assert health_of(disabled, LaneHealth(10, BreakerState.OPEN, START)) == Health(
        state="disabled", consecutive_failures=10
    )
