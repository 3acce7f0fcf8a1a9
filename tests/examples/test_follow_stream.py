"""The follower misses nothing over breaks, and comes back when the hub says."""

import json
from pathlib import Path

import httpx

from examples.follow_stream import follow
from hub.testing.patience import PATIENCE_SECONDS
from hub.testing.receivers import Receiver, Reply
from tests.examples.conftest import Tenant
from tests.examples.program import running
from tests.plain_http import NO_TLS
from tests.redis_servers import free_port
from tests.serving import serving

STREAM = {"Content-Type": "text/event-stream"}


def publish(tenant: Tenant) -> str:
    """The id of a new event."""
    return str(tenant.call("POST", "/v1/events", type="parcel.sent", data={})["id"])


def test_events_are_followed_over_a_crash_of_the_hub_once_each(tmp_path: Path) -> None:
    command = ("serve", "--port", str(free_port()))
    with serving(tmp_path, *command) as hub:
        tenant = Tenant(hub)
        key = tenant.key("read")
        with running("examples.follow_stream", "event.accepted", HUB_URL=hub.url, HUB_KEY=key) as follower:
            follower.printed("Listening, from now on")
            first = publish(tenant)
            follower.printed(first)
            hub.process.kill()
            follower.printed("The connection broke")
            hub.stop()
            with serving(tmp_path, *command):
                missed = [publish(tenant), publish(tenant)]
                follower.printed(missed[-1])
    told = [line.split(" ", 2) for line in follower.lines if " event.accepted " in line]
    assert [json.loads(event)["id"] for _, _, event in told] == [first, *missed]
    assert f"Listening, from {told[0][0]} on.\n" in follower.lines


async def test_another_connection_is_made_after_the_time_that_the_hub_names_from_the_last_event() -> None:
    script = [
        Reply(headers=STREAM, body='retry: 1234\nid: 7\nevent: event.accepted\ndata: {"n": 1}\n\n'),
        Reply(headers=STREAM, body="retry: 5678\n"),
        Reply(503),
        Reply(headers=STREAM, body="retry: 1234\nid: 8\nevent: cursor\ndata: {}\n\n"),
        Reply(headers=STREAM, body='id: 9\nevent: event.accepted\ndata: {"n": 2}\n\n'),
    ]
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async with (
        Receiver(script) as receiver,
        httpx.AsyncClient(base_url=receiver.url, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False) as hub,
    ):
        events = follow(hub, "order.*", note)
        told = [await anext(events), await anext(events)]
        await events.aclose()
    assert [(event.id, event.data) for event in told] == [("7", '{"n": 1}'), ("9", '{"n": 2}')]
    assert waits == [1.234, 2.468, 2.468, 1.234]
    assert [arrival.headers.get("Last-Event-ID") for arrival in receiver.requests] == [None, "7", "7", "7", "8"]
    assert {arrival.path for arrival in receiver.requests} == {"/v1/stream?types=order.%2A"}


def test_a_name_that_nothing_has_is_refused_with_those_that_there_are(tenant: Tenant) -> None:
    with running(
        "examples.follow_stream", "delivery.failed", HUB_URL=tenant.url, HUB_KEY=tenant.key("read")
    ) as follower:
        follower.printed("The hub refuses: 422 .* delivery.dead,")
        assert follower.ended() == 1


def test_without_a_key_it_says_which_one_it_needs() -> None:
    with running("examples.follow_stream", HUB_KEY="") as follower:
        assert follower.ended() == 1
    assert follower.lines == ["Set HUB_KEY to a key with the scope read.\n"]


def test_a_key_that_may_not_read_ends_it_with_one_line(tenant: Tenant) -> None:
    with running("examples.follow_stream", HUB_URL=tenant.url, HUB_KEY=tenant.key("events:write")) as follower:
        assert follower.ended() == 1
    (line,) = follower.lines
    assert line.startswith("The hub refuses: 403 ")
    assert "This key lacks the scope read; ask an administrator" in line
