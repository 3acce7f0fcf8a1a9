"""Drills F43 and F50, and a burst: many publishers, repeated requests, and requests that are too much."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import aiohttp
import pytest

from hub.testing.patience import patience
from hub.testing.receivers import Receiver, Reply
from tests.e2e.tenant import ORDER, Tenant
from tests.faults.hub import Hub
from tests.faults.patience import until


async def test_a_burst_from_many_clients_is_all_accepted_and_delivered_exactly_once(tenant: Tenant, hub: Hub) -> None:
    clients, events = 32, 1_500
    numbers = iter(range(events))
    statuses: Counter[int] = Counter()

    async def client(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            body = {"type": "order.created", "data": {**ORDER, "order_id": str(number)}}
            async with session.post(f"{hub.url}/v1/events", json=body) as answer:
                statuses[answer.status] += 1

    async def all_delivered() -> bool:
        delivered: int = (await tenant.call("GET", "/v1/stats"))["delivered"]
        return delivered >= events

    async with (
        Receiver(lambda arrival: Reply(delay=0.05)) as receiver,
        aiohttp.ClientSession(headers={"Authorization": tenant.api.headers["Authorization"]}) as session,
    ):
        await tenant.subscribe("webhook", {"url": receiver.url}, max_in_flight=128)
        await asyncio.gather(*(client(session) for _ in range(clients)))
        assert statuses == {202: events}
        await until(all_delivered, 40)
        orders = [arrival.json()["data"]["order_id"] for arrival in receiver.requests]
        assert receiver.peak_in_flight <= 128
    assert sorted(orders, key=int) == [str(number) for number in range(events)]


async def test_f43_fifty_equal_posts_at_once_publish_once_and_are_answered_alike(tenant: Tenant) -> None:
    """Red when the key is looked up first and inserted later."""
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url})
        key = {"Idempotency-Key": '"the-same"'}
        body = {"type": "drill.tick", "data": {"n": 1}}
        posts = [tenant.api.post("/v1/events", json=body, headers=key) for _ in range(50)]
        answers = await asyncio.gather(*posts)
        other = await tenant.api.post("/v1/events", json={**body, "data": {"n": 2}}, headers=key)
        accepted = [answer for answer in answers if answer.status_code == 202]
        await tenant.delivery(accepted[0].json()["id"])
        assert len(receiver.requests) == 1
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.content for answer in accepted}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in accepted) == 1
    assert other.status_code == 422
    assert len((await tenant.call("GET", "/v1/events"))["items"]) == 1


HEAD = "POST /v1/events HTTP/1.1\r\nHost: hub\r\nAuthorization: {key}\r\nContent-Type: application/json\r\n"


async def exchange(hub: Hub, head: str, body: Sequence[bytes]) -> int:
    """The status that a request gets, while or after it is sent; 0 when the connection is dropped instead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.web.port)

    async def send() -> None:
        writer.write(head.encode())
        for chunk in body:
            writer.write(chunk)
            await writer.drain()

    sending = asyncio.create_task(send())
    try:
        async with patience():
            line = await reader.readline()
            return int(line.split()[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


MEGABYTE = b" " * 1_000_000
CASES = {
    "a declared body of 100 MB": (f"Content-Length: {100 * len(MEGABYTE)}\r\n\r\n", [MEGABYTE] * 100, {413}),
    "100 MB in chunks": ("Transfer-Encoding: chunked\r\n\r\n", [b"f4240\r\n%b\r\n" % MEGABYTE] * 100, {413}),
    "bottomless nesting": ("", [b'{"type":"a","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"], {400, 422}),
    "a number of 100,000 digits": ("", [b'{"type":"a","data":' + b"1" * 100_000 + b"}"], {400, 422}),
    "no number": ("", [b'{"type":"a","data":NaN}'], {400, 422}),
    "half a character": ("", [b'{"type":"a","data":"\\ud800"}'], {400, 422}),
    "bytes that are no text": ("", [b'{"type":"a","data":"\xff"}'], {400, 422}),
    "a name in vain": ("", [b'{"type":"' + b"a" * 100_000 + b'","data":1}'], {422}),
    "a thousand headers": ("".join(f"x-{n}: {'y' * 100}\r\n" for n in range(1_000)) + "\r\n", [], {0, 400, 431}),
}


@pytest.mark.parametrize("case", CASES)
async def test_f50_requests_that_are_too_much_are_refused_at_once_and_cost_no_memory(
    tenant: Tenant, hub: Hub, case: str
) -> None:
    """Red when bodies are read before they are measured, or numbers and nesting go to Python's own parser."""
    head, body, statuses = CASES[case]
    head = head or f"Content-Length: {sum(map(len, body))}\r\n\r\n"
    before = hub.web.forget_peak()
    worked = hub.web.cpu_seconds()
    status = await exchange(hub, HEAD.format(key=tenant.api.headers["Authorization"]) + head, body)
    assert status in statuses
    assert hub.web.cpu_seconds() - worked < 2
    assert hub.web.peak_mb() < before + 10
    assert (await tenant.call("GET", "/v1/events"))["items"] == []


@pytest.mark.parametrize(
    ("content_type", "body", "arrives_as"),
    [
        ("text/plain; charset=latin-1", 'grüße "quoted"\n'.encode("latin-1"), "text/plain; charset=latin-1"),
        ("application/xml", b"<a/>", "application/xml"),
        ("application/cbor", b"\x00\xff", "application/cbor"),
        (None, b'{"n": 1.50}', "application/json"),
        (None, b"\x00\xff", "application/octet-stream"),
    ],
)
async def test_a_payload_of_any_kind_arrives_as_it_was_published(
    tenant: Tenant, content_type: str | None, body: bytes, arrives_as: str
) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/sensor", "ce-type": "drill.tick"}
    headers |= {"content-type": content_type} if content_type else {}
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url, "format": "raw"})
        await tenant.call("POST", "/v1/events", content=body, headers=headers)
        (arrival,) = await receiver.arrived()
    assert (arrival.headers["content-type"], arrival.body) == (arrives_as, body)


async def test_what_is_wrong_is_said_without_repeating_it(tenant: Tenant) -> None:
    answer = await tenant.api.post("/v1/events", json={"type": "order.created", "data": {"total": "canary"}})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "/data/order_id" in json.dumps(answer.json()["errors"])
    assert "canary" not in answer.text
