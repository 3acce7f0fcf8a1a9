"""Drills F29 to F32, F36: targets that hang, drip, pour, point elsewhere, or want no more."""

import asyncio
import gzip
from typing import Any

import pytest

from hub.testing.receivers import Conversation, Receiver, Reply, raw_receiver
from tests.e2e.tenant import Tenant
from tests.faults.hub import Hub

FOREVER = 3_600


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(FOREVER)


async def drips_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-drip: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


async def drips_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def attempts_at(tenant: Tenant, talk: Conversation, seconds: float) -> list[dict[str, Any]]:
    """The only attempt of each of two deliveries to this target."""
    async with raw_receiver(talk) as port:
        target = {"url": f"http://127.0.0.1:{port}/"}
        await tenant.subscribe("webhook", target, timeout=seconds, max_in_flight=1, retry_schedule=[])
        events = [await tenant.publish(data=number) for number in range(2)]
        deliveries = [await tenant.delivery(event, "dead", "delivered") for event in events]
    attempts = []
    for delivery in deliveries:
        (attempt,) = delivery["attempts"]
        attempts.append(attempt)
    return attempts


async def test_f29_a_target_that_never_answers_is_given_up_at_the_deadline(tenant: Tenant) -> None:
    """Red when only each read has a time limit, and not the whole attempt."""
    for attempt in await attempts_at(tenant, silent, 0.8):
        assert attempt["duration_ms"] >= 700
        assert attempt["outcome"] == "failed"
        assert "0.8 s" in attempt["error"]


@pytest.mark.parametrize("talk", [drips_headers, drips_body])
@pytest.mark.parametrize("seconds", [0.5, 30.0])
async def test_f29_a_target_that_never_finishes_has_answered_by_its_status(
    tenant: Tenant, talk: Conversation, seconds: float
) -> None:
    """Red when what follows the status counts, or when it may take the whole time of the attempt."""
    for attempt in await attempts_at(tenant, talk, seconds):
        assert attempt["duration_ms"] < 20_000
        assert (attempt["outcome"], attempt["status_code"], attempt["error"]) == ("succeeded", 200, None)


BROKEN = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\nno field\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"


@pytest.mark.parametrize(("status", "outcome"), [(200, "succeeded"), (503, "failed")])
async def test_what_breaks_after_the_status_does_not_undo_it(tenant: Tenant, status: int, outcome: str) -> None:
    """Red when a client library refuses the head: a 2xx is then sent again, and no other status is known."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(BROKEN.replace(b"200", b"%d" % status, 1))
        await writer.drain()

    for attempt in await attempts_at(tenant, talk, 30.0):
        assert (attempt["outcome"], attempt["status_code"]) == (outcome, status)


async def test_f30_attempts_that_were_cut_off_leave_room_for_healthy_ones(tenant: Tenant) -> None:
    """Red with a pool of connections that loses a slot for each request that is cancelled."""
    async with Receiver(lambda arrival: Reply(delay=0 if arrival.path == "/ok" else FOREVER)) as receiver:
        hanging = {"url": f"{receiver.url}/hang"}
        await tenant.subscribe(
            "webhook", hanging, event_types=["hang"], timeout=1, max_in_flight=200, retry_schedule=[]
        )
        await tenant.subscribe("webhook", {"url": f"{receiver.url}/ok"}, event_types=["ok"])
        batch = [{"type": "hang", "data": number} for number in range(200)]
        items = (await tenant.call("POST", "/v1/events", json=batch))["items"]
        await receiver.arrived(100)
        await tenant.delivery(items[0]["id"], "dead")
        healthy = await tenant.delivery(await tenant.publish("ok"))
    (attempt,) = healthy["attempts"]
    assert attempt["outcome"] == "succeeded"


async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def bombs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    writer.write(head.encode() + bomb)
    await writer.drain()
    await asyncio.sleep(FOREVER)


@pytest.mark.parametrize("talk", [pours, bombs])
async def test_f31_what_a_target_pours_out_is_not_kept(tenant: Tenant, hub: Hub, talk: Conversation) -> None:
    """Red when answers are read whole, or decompressed."""
    async with raw_receiver(talk) as port:
        await tenant.subscribe("webhook", {"url": f"http://127.0.0.1:{port}/"}, timeout=2, retry_schedule=[])
        before = hub.worker.forget_peak()
        event = await tenant.publish()
        delivery = await tenant.delivery(event, "delivered", "dead")
    assert hub.worker.peak_mb() < before + 5
    (attempt,) = delivery["attempts"]
    assert len(attempt["response_body"] or "") <= 4_096


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_f32_a_redirect_is_a_failure_and_never_followed(tenant: Tenant, status: int) -> None:
    """Red when the HTTP client follows redirects."""
    async with Receiver() as elsewhere, Receiver([Reply(status, headers={"Location": elsewhere.url})]) as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, retry_schedule=[])
        delivery = await tenant.delivery(await tenant.publish(), "dead")
        assert elsewhere.requests == []
    (attempt,) = delivery["attempts"]
    assert (attempt["outcome"], attempt["status_code"]) == ("failed", status)
    assert "redirect" in attempt["error"]


async def test_f36_a_target_that_is_gone_disables_its_subscription_and_says_so(tenant: Tenant) -> None:
    """Red when 410 is a failure like any other."""
    async with Receiver([410]) as receiver:
        subscription = await tenant.subscribe("webhook", {"url": receiver.url})
        async with tenant.listening() as stream:
            event_id = await tenant.publish()
            told = [await anext(stream) for _ in range(4)]
        delivery = await tenant.delivery(event_id, "dead")
        later = await tenant.delivery(await tenant.publish(), "held")
        shown = await tenant.call("GET", f"/v1/subscriptions/{subscription}")
        assert len(receiver.requests) == 1
    names = ["event.accepted", "delivery.attempted", "delivery.dead", "subscription.disabled"]
    assert [event.event for event in told] == names
    assert "410" in delivery["reason"]
    assert "410" in later["reason"]
    assert (shown["enabled"], shown["health"]["state"]) == (False, "disabled")
    assert "410" in shown["disabled_reason"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00::1]/",
        "http://0xa9.254.0251.254/",
        "http://2852039166/",
    ],
)
async def test_a_target_inside_the_network_is_refused_by_the_test_button_too(tenant: Tenant, url: str) -> None:
    """Red when the guard judges the text of the address, or only what is dispatched."""
    answer = await tenant.api.post(
        "/v1/subscriptions", json={"name": "inside", "event_types": ["*"], "channel": "webhook", "target": {"url": url}}
    )
    if answer.status_code == 422:
        return
    tried = await tenant.call("POST", f"/v1/subscriptions/{answer.json()['id']}/test")
    assert tried["outcome"] == "failed"
    assert tried["status_code"] is None
    assert "public" in tried["error"] or "not valid" in tried["error"]


async def test_the_test_button_sends_a_sample_once_and_keeps_nothing(tenant: Tenant) -> None:
    async with Receiver([Reply(418, body="no coffee")]) as receiver:
        subscription = await tenant.subscribe("webhook", {"url": receiver.url}, event_types=["order.created"])
        tried = await tenant.call("POST", f"/v1/subscriptions/{subscription}/test")
        (arrival,) = receiver.requests
    assert (tried["outcome"], tried["status_code"], tried["response_body"]) == ("failed", 418, "no coffee")
    assert arrival.json()["type"] == "order.created"
    assert (await tenant.call("GET", "/v1/deliveries"))["items"] == []
