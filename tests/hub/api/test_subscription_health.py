"""How subscriptions fare, and trying them out."""

from pathlib import Path
from typing import Any

import pytest

from hub.testing.receivers import Receiver, Reply
from tests.api_support import Api, open_api, settings_for

pytestmark = pytest.mark.usefixtures("unswept")


async def get(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = (await api.admin.get(f"/v1/subscriptions/{made['id']}")).json()
    return shown


# -- health -----------------------------------------------------------------------------------------------------------


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


# -- trying out -------------------------------------------------------------------------------------------------------


async def test_a_trial_sends_the_example_of_the_first_matching_type_and_stores_nothing(api: Api) -> None:
    async with Receiver([Reply(201, b"thanks")]) as receiver:
        made = await api.subscribe(
            channel="webhook", target={"url": receiver.url}, event_types=["none.such", "order.*"]
        )
        answer = await api.admin.post(f"/v1/subscriptions/{made['id']}/test")
    assert answer.status_code == 200
    trial = answer.json()
    assert (trial["outcome"], trial["status_code"], trial["response_body"]) == ("succeeded", 201, "thanks")
    assert trial["started_at"] == "2026-11-23T12:00:00Z"
    assert trial["duration_ms"] >= 0
    (arrival,) = receiver.requests
    assert arrival.json()["type"] == "order.cancelled"
    example = (await api.admin.get("/v1/event-types/order.cancelled")).json()["example"]
    assert arrival.json()["data"] == example
    assert (await api.admin.get("/v1/events")).json()["items"] == []
    assert (await api.admin.get("/v1/deliveries")).json()["items"] == []


@pytest.mark.parametrize(
    ("pattern", "type"), [("none.such", "none.such"), ("none.*", "none.test"), ("stock.*", "stock.low")]
)
async def test_the_sample_fits_the_pattern_even_when_nobody_gave_an_example(api: Api, pattern: str, type: str) -> None:
    (await api.admin.put("/v1/event-types/stock.low", json={"example": {"sku": "A-1"}})).raise_for_status()
    async with Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, event_types=[pattern])
        (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).raise_for_status()
    assert receiver.requests[0].json()["type"] == type


async def test_a_trial_that_fails_says_why(api: Api) -> None:
    async with Receiver([Reply(500, b"no")]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, enabled=False)
        trial = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
    assert (trial["outcome"], trial["status_code"], trial["response_body"]) == ("failed", 500, "no")
    assert trial["error"]


async def test_a_trial_is_bounded_in_time(api: Api) -> None:
    async with Receiver([Reply(delay=5)]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, timeout=0.05)
        trial = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
    assert trial["error"] == "no answer within 0.05 s"


async def test_a_trial_never_reaches_a_private_address(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "guarded").model_copy(update={"allow_private_targets": ()})
    async with open_api(settings) as api, Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url})
        trial = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
        assert trial["outcome"] == "failed"
        assert receiver.requests == []
