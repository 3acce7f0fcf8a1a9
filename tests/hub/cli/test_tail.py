"""Watching from the command line: resumed without a hole, given up where it must be, and harmless to a terminal."""

import json
from typing import Any

import pytest
from httpx_sse import ServerSentEvent

from hub.cli.tail import as_line
from hub.testing.receivers import Receiver, Reply
from tests.hub.cli.commands import KEY, Hub, beside


def frame(cursor: int, kind: str = "event.accepted", **data: Any) -> str:
    return f"id: {cursor}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


async def test_tail_resumes_where_the_connection_broke(hub: Hub) -> None:
    """Connection ends, then overload, then 503, then the rest: nothing is asked for twice and nothing is skipped."""
    sse = {"Content-Type": "text/event-stream"}
    script = [
        Reply(200, "retry: 1\n" + frame(1, id="evt_1") + frame(2, "cursor"), sse),
        Reply(200, "retry: 20000\n", sse),
        Reply(503, '{"detail": "busy"}'),
        Reply(200, "retry: 1\n" + frame(3, id="evt_3") + frame(4, id="evt_4"), sse),
    ]
    async with Receiver(script) as receiver:
        ran = await beside(hub, "tail", "--json", "--since", "earliest", "--count", "3", "--url", receiver.url)
    assert ran.status == 0
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == ["1", "3", "4"]
    assert [arrival.headers.get("Last-Event-ID") for arrival in receiver.requests] == [None, "2", "2", "2"]
    assert receiver.requests[0].path == "/v1/stream?last_event_id=earliest"


async def test_tail_gives_up_when_its_key_is_refused(hub: Hub) -> None:
    async with Receiver([Reply(401, '{"detail": "The key is unknown."}')]) as receiver:
        ran = await beside(hub, "tail", "--url", receiver.url, "--key", KEY)
    assert (ran.status, ran.err) == (1, "hub: The key is unknown. [401]\n")


async def test_tail_gives_up_when_its_key_is_revoked_meanwhile(hub: Hub) -> None:
    sse = {"Content-Type": "text/event-stream"}
    script = [Reply(200, "retry: 1\n" + frame(1, id="evt_1"), sse), Reply(401, '{"detail": "The key is unknown."}')]
    async with Receiver(script) as receiver:
        ran = await beside(hub, "tail", "--json", "--url", receiver.url, "--key", KEY)
    assert (ran.status, ran.out.count("\n"), ran.err) == (1, 1, "hub: The key is unknown. [401]\n")


async def test_tail_says_when_an_address_is_no_stream(hub: Hub) -> None:
    async with Receiver([Reply(200, "<h1>Welcome</h1>")]) as receiver:
        ran = await beside(hub, "tail", "--url", receiver.url)
    assert (ran.status, "is not a hub" in ran.err) == (1, True)


def test_a_line_of_tail_tells_what_happened_and_steers_no_terminal() -> None:
    attempt = {"number": 2, "status_code": 500, "duration_ms": 12, "error": "red \x1b[31malert\x1b]0;x\x07"}
    data = {
        "id": "dlv_1",
        "event_type": "order.paid",
        "subscription_id": "sub_1",
        "subscription_name": "sales\x1b[2J room",
        "channel": "slack",
        "updated_at": "2026-11-23T12:00:01.250Z",
        "attempts": [attempt],
    }
    line = as_line(ServerSentEvent("delivery.attempted", json.dumps(data), "7", None)).plain
    assert line.startswith("12:00:01.250  delivery.attempted")
    assert "order.paid  dlv_1 → sales\ufffd[2J room (slack, sub_1)  attempt 2, 500, 12 ms, red " in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("due", "shown"), [("2026-11-23T12:00:06.250Z", "12:00:06"), ("2026-11-24T08:00:00Z", "2026-11-24 08:00:00")]
)
def test_a_line_of_tail_says_when_the_next_attempt_follows(due: str, shown: str) -> None:
    attempt = {"number": 1, "error": "the connection was refused"}
    data = {"id": "dlv_1", "updated_at": "2026-11-23T12:00:01Z", "attempt": attempt, "next_attempt_at": due}
    line = as_line(ServerSentEvent("delivery.attempted", json.dumps({**data, "status": "pending"}), "7", None)).plain
    assert line.endswith(f"attempt 1, the connection was refused, next at {shown}")
    line = as_line(ServerSentEvent("delivery.attempted", json.dumps({**data, "status": "dead"}), "7", None)).plain
    assert line.endswith("attempt 1, the connection was refused")


def test_a_line_of_tail_says_what_a_gap_is() -> None:
    assert "entries before this are missing" in as_line(ServerSentEvent("gap", '{"oldest": 7}', "7", None)).plain


def test_a_line_of_tail_shows_the_id_alone_where_a_hub_tells_no_name() -> None:
    data = {"id": "dlv_1", "subscription_id": "sub_1", "subscription_name": None, "channel": "slack"}
    assert "dlv_1 → sub_1 (slack)" in as_line(ServerSentEvent("delivery.dead", json.dumps(data), "7", None)).plain
    del data["channel"]
    assert as_line(ServerSentEvent("delivery.dead", json.dumps(data), "7", None)).plain.endswith("dlv_1 → sub_1")


@pytest.mark.parametrize("data", ["[]", "7", '{"kind": 7, "attempt": {}}'])
def test_an_event_that_only_a_newer_version_knows_is_a_line_as_well(data: str) -> None:
    assert "thing.newer" in as_line(ServerSentEvent("thing.newer", data, "7", None)).plain
