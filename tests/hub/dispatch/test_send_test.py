"""Trying a subscription out: one attempt at once, of which nothing is stored."""

from pathlib import Path
from typing import Any

import pytest

from channels.base import Message, Receipt, SendFailed
from hub.dispatch.send_test import send_test
from hub.dispatch.transitions import ERROR_CHARS, RESPONSE_BODY_CHARS
from hub.testing.receivers import Receiver, Reply
from hub.testing.stores.samples import event
from tests.api_support import ORDER, Api, open_api, pointers, settings_for
from tests.hub.dispatch.parts import Parts
from tests.smtp import MailServer

pytestmark = pytest.mark.usefixtures("unswept")


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


async def test_a_trial_is_marked_and_of_the_type_and_data_that_are_chosen(api: Api) -> None:
    async with Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, event_types=["order.*"])
        path = f"/v1/subscriptions/{made['id']}/test"
        for body in ({"type": "stock.low", "data": {"sku": "A"}}, {"type": "user.deleted"}, {"data": ORDER}):
            assert (await api.admin.post(path, json=body)).json()["outcome"] == "succeeded"
    chosen, by_type, by_data = receiver.requests
    assert [arrival.headers["webhook-test"] for arrival in receiver.requests] == ["true"] * 3
    assert (chosen.json()["type"], chosen.json()["data"]) == ("stock.low", {"sku": "A"})
    assert (by_type.json()["type"], by_type.json()["data"]["user_id"]) == ("user.deleted", "u-42")
    assert (by_data.json()["type"], by_data.json()["data"]) == ("order.cancelled", ORDER)


async def test_a_delivery_is_not_marked_as_a_test(api: Api) -> None:
    async with Receiver() as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url})
        await api.publish()
        (arrival,) = await receiver.arrived(1)
    assert "webhook-test" not in arrival.headers


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"type": "a b"}, ["/type"]),
        ({"type": 5}, ["/type"]),
        ({"type": "order.created", "data": {}}, ["/data"]),
        ({"type": "stock.low", "data": {"sku": 5}}, ["/data/sku"]),
        ({"to": "me@example.com"}, ["/to"]),
        ({"to_customer": "yes"}, ["/to_customer"]),
        ({"colour": "red"}, ["/colour"]),
    ],
)
async def test_a_trial_that_cannot_be_is_refused(api: Api, body: dict[str, Any], wrong: list[str]) -> None:
    schema = {"properties": {"sku": {"type": "string"}}}
    (await api.admin.put("/v1/event-types/stock.low", json={"schema": schema})).raise_for_status()
    async with Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url})
        refused = await api.admin.post(f"/v1/subscriptions/{made['id']}/test", json=body)
    assert refused.status_code == 422, refused.text
    assert {pointer[: len(wrong[0])] for pointer in pointers(refused)} == set(wrong)
    assert receiver.requests == []


CUSTOMER = "{{ data.customer.email }}"


MAIL_TESTS: list[tuple[dict[str, Any], dict[str, Any], list[str] | None]] = [
    ({"to": [CUSTOMER], "bcc": ["shop@example.com"]}, {}, None),
    ({"to": ["shop@example.com"], "cc": [CUSTOMER]}, {"to_customer": False}, None),
    ({"to": [CUSTOMER], "cc": ["c@example.com"]}, {"to": "me@example.com"}, ["me@example.com"]),
    ({"to": [CUSTOMER]}, {"to": ["me@example.com", "you@example.com"]}, ["me@example.com", "you@example.com"]),
    (
        {"to": [CUSTOMER], "bcc": ["shop@example.com"]},
        {"to_customer": True},
        ["ada@example.com", "shop@example.com"],
    ),
    ({"to": ["shop@example.com"], "reply_to": CUSTOMER}, {}, ["shop@example.com"]),
    ({"to": [CUSTOMER]}, {"to": CUSTOMER}, None),
    ({"to": [CUSTOMER]}, {"to": "not an address"}, None),
    ({"to": [CUSTOMER]}, {"to": []}, None),
]
"""Targets, what the test asks for, and who gets it; None where it is refused."""


async def test_a_trial_goes_to_a_customer_only_when_that_is_asked_for(tmp_path: Path) -> None:
    async with MailServer() as server:
        options = {"smtp_url": server.url, "email_from": "hub@example.com"}
        async with open_api(settings_for(tmp_path / "mail", channel_options=options)) as api:
            for target, body, recipients in MAIL_TESTS:
                made = await api.subscribe(channel="email", target=target, event_types=["order.created"])
                answer = await api.admin.post(f"/v1/subscriptions/{made['id']}/test", json=body)
                if recipients is None:
                    assert (answer.status_code, pointers(answer)) == (422, ["/to"])
                else:
                    assert answer.json()["outcome"] == "succeeded", answer.text
    assert [list(mail.recipients) for mail in server.mails] == [who for _, _, who in MAIL_TESTS if who is not None]
    assert {mail.message["Subject"] for mail in server.mails} == {"[test] We have your order 1001"}


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
