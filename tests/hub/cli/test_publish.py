"""Publishing from the command line: the data as they are, and safe to repeat."""

import json
from pathlib import Path

import pytest

from hub.testing.receivers import Receiver, Reply
from tests.hub.cli.commands import ACCEPTED, Hub, Ran, beside


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_publish_carries_the_data_byte_for_byte(hub: Hub, tmp_path: Path, mark: bytes) -> None:
    data = b'{"total": 10.50, "big": 123456789012345678901234567890, "b":1,  "a":2}'
    (tmp_path / "order.json").write_bytes(mark + data)
    async with Receiver([ACCEPTED]) as receiver:
        ran = await beside(
            hub, "publish", "order.created", "--data", "@order.json", "--source", "shop", "--url", receiver.url
        )
    assert ran == Ran(0, "evt_1 accepted\n", "")
    sent = receiver.requests[0]
    assert (sent.method, sent.path) == ("POST", "/v1/events")
    assert sent.body == b'{"type":"order.created","source":"shop","data":' + data + b"}"


async def test_publish_repeats_safely_under_the_key_it_is_given(hub: Hub) -> None:
    async with Receiver([ACCEPTED, ACCEPTED, ACCEPTED]) as receiver:
        arguments = ["publish", "order.created", "-d", "1", "--url", receiver.url]
        for more in ([], [], ["--idempotency-key", "again"]):
            await beside(hub, *arguments, *more)
    first, second, third = (arrival.headers["Idempotency-Key"] for arrival in receiver.requests)
    assert first != second
    assert third == "again"


async def test_a_duplicate_is_said_to_be_one(hub: Hub) -> None:
    async with Receiver([Reply(202, '{"id": "evt_1", "duplicate": true}')]) as receiver:
        ran = await beside(hub, "publish", "x", "-d", "1", "--url", receiver.url)
    assert "a duplicate" in ran.out


@pytest.mark.parametrize(("status", "told"), [("pending", "is sent again"), ("held", "is held: no mail server")])
async def test_replay_says_whether_the_delivery_is_sent_and_how_to_watch_it(hub: Hub, status: str, told: str) -> None:
    delivery = {"id": "dlv_1", "event_id": "evt_1", "status": status, "reason": "no mail server"}
    async with Receiver([Reply(202, json.dumps(delivery))]) as receiver:
        ran = await beside(hub, "replay", "dlv_1", "--url", receiver.url)
    assert ran == Ran(0, f"dlv_1 {told}\nWatch it: hub tail --since earliest --event-id evt_1\n", "")
