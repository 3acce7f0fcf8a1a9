"""Trying a subscription out: one attempt at once, of which nothing is stored."""

from pathlib import Path

import pytest

from channels.base import Message, Receipt, SendFailed
from hub.dispatch.send_test import send_test
from hub.dispatch.transitions import ERROR_CHARS, RESPONSE_BODY_CHARS
from tests.api_support import Api, open_api, settings_for
from tests.hub.dispatch.parts import Parts
from tests.hub.stores.samples import event
from tests.receivers import Answer, Receiver

pytestmark = pytest.mark.usefixtures("unswept")


async def test_a_trial_sends_the_example_of_the_first_matching_type_and_stores_nothing(api: Api) -> None:
    async with Receiver([Answer(201, b"thanks")]) as receiver:
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
    async with Receiver([Answer(500, b"no")]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, enabled=False)
        trial = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
    assert (trial["outcome"], trial["status_code"], trial["response_body"]) == ("failed", 500, "no")
    assert trial["error"]


async def test_a_trial_is_bounded_in_time(api: Api) -> None:
    async with Receiver([Answer(delay=5)]) as receiver:
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


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (Receipt(200, "x" * 5_000), ("succeeded", 200, None, "x" * RESPONSE_BODY_CHARS)),
        (SendFailed("e" * 2_000, status_code=500), ("failed", 500, "e" * ERROR_CHARS, None)),
    ],
)
async def test_a_result_is_as_long_as_that_of_an_attempt(
    parts: Parts, result: Receipt | SendFailed, shown: tuple[str, int, str | None, str | None]
) -> None:
    async def behave(message: Message) -> Receipt:
        parts.clock.advance(0.25)
        if isinstance(result, SendFailed):
            raise result
        return result

    parts.channel.behaviour = behave
    subscription = await parts.subscribe()
    started_at = parts.clock.now()
    told = await send_test(parts.attempter._sender, event(), subscription, parts.clock, 40.0)
    assert (told.outcome, told.status_code, told.error, told.response_body) == shown
    assert (told.started_at, told.duration_ms) == (started_at, 250)
