"""The command line without a hub: what it sends, what it shows, and how it fails."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from httpx_sse import ServerSentEvent

from hub.cli import main
from hub.cli.client import is_local
from hub.cli.tail import as_line
from tests.receivers import Answer, Arrival, Receiver

ACCEPTED = Answer(202, '{"id": "evt_1", "type": "order.created", "status": "accepted", "duplicate": false}')
KEY = "k" * 40


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


Hub = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests takes part."""
    for name in ("HUB_URL", "HUB_KEY", "HUB_DATA_DIR", "HUB_CONFIG", "HUB_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hub:
    """Runs the command as its entry point does."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["hub", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Ran(int(ended.value.code or 0), shown.out, shown.err)

    return run


async def beside(work: Callable[..., Ran], *arguments: str) -> Ran:
    return await asyncio.to_thread(work, *arguments)


def test_the_version_is_printed(hub: Hub) -> None:
    assert hub("--version") == Ran(0, f"hub {version('notification-hub')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["publish", "order.created"], "Missing option '--data'"),
        (["publish", "order.created", "--data", "{"], "--data is not JSON"),
        (["publish", "order.created", "--data", "@missing.json"], "--data cannot be read"),
        (["replay"], "Missing argument 'DELIVERY_ID'"),
        (["keys", "create", "shop", "--scope", "fly"], "'fly' is not one of"),
        (["tail", "--count", "0"], "--count"),
        (["serve", "--port", "70000"], "--port"),
        (["keys", "list", "--url", "nowhere"], "must look like http://127.0.0.1:8000"),
        (["keys", "list", "--url", "http://127.0.0.1:1"], "start one with `hub serve`"),
        (["tail", "--url", "http://127.0.0.1:1"], "start one with `hub serve`"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_every_failure_is_one_line_and_a_status(hub: Hub, arguments: list[str], complaint: str) -> None:
    ran = hub(*arguments)
    assert ran.status != 0
    assert ran.out == ""
    assert ran.err.startswith("hub: ")
    assert ran.err.count("\n") == 1
    assert complaint in ran.err


async def test_publish_carries_the_data_byte_for_byte(hub: Hub, tmp_path: Path) -> None:
    data = b'{"total": 10.50, "big": 123456789012345678901234567890, "b":1,  "a":2}'
    (tmp_path / "order.json").write_bytes(data)
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
    async with Receiver([Answer(202, '{"id": "evt_1", "duplicate": true}')]) as receiver:
        ran = await beside(hub, "publish", "x", "-d", "1", "--url", receiver.url)
    assert "a duplicate" in ran.out


async def test_json_is_given_to_programs_as_one_line(hub: Hub) -> None:
    async with Receiver([ACCEPTED]) as receiver:
        ran = await beside(hub, "publish", "x", "-d", "1", "--json", "--url", receiver.url)
    assert ran.out.count("\n") == 1
    assert json.loads(ran.out) == json.loads(str(ACCEPTED.body))


async def test_the_admin_key_of_the_data_directory_is_for_this_machine_only(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    (tmp_path / "admin.key").write_text(f"{KEY}\n")
    async with Receiver([Answer(200, '{"items": []}')] * 2) as receiver:
        await beside(hub, "keys", "list", "--url", receiver.url)
        await beside(hub, "keys", "list", "--url", receiver.url, "--key", "another")
    assert [arrival.headers["Authorization"] for arrival in receiver.requests] == [f"Bearer {KEY}", "Bearer another"]


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://[::1]:8000", True),
        ("https://hub.example.com", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost@evil.example.com", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(url: str, local: bool) -> None:
    assert is_local(url) is local


async def test_a_created_key_is_alone_on_standard_output(hub: Hub) -> None:
    created = {"id": "key_1", "name": "shop", "scopes": ["read"], "key": "hub_1_secret"}
    async with Receiver([Answer(201, json.dumps(created))]) as receiver:
        ran = await beside(hub, "keys", "create", "shop", "-s", "read", "-s", "manage", "--url", receiver.url)
    assert ran.out == "hub_1_secret\n"
    assert "key_1" in ran.err
    assert receiver.requests[0].json() == {"name": "shop", "scopes": ["read", "manage"]}


async def test_listing_keys_reads_every_page(hub: Hub) -> None:
    def pages(arrival: Arrival) -> Answer:
        second = "cursor=next" in arrival.path
        item = {"id": "key_2" if second else "key_1", "name": "n", "scopes": ["read"], "tenant": "default"}
        return Answer(200, json.dumps({"items": [item], "next_cursor": None if second else "next"}))

    async with Receiver(pages) as receiver:
        ran = await beside(hub, "keys", "list", "--json", "--url", receiver.url)
    assert [item["id"] for item in json.loads(ran.out)["items"]] == ["key_1", "key_2"]


def frame(cursor: int, kind: str = "event.accepted", **data: Any) -> str:
    return f"id: {cursor}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


async def test_tail_resumes_where_the_connection_broke(hub: Hub) -> None:
    """Connection ends, then 503, then the rest: nothing is asked for twice and nothing is skipped."""
    sse = {"Content-Type": "text/event-stream"}
    script = [
        Answer(200, "retry: 1\n\n" + frame(1, id="evt_1") + frame(2, id="evt_2"), sse),
        Answer(503, '{"detail": "busy"}'),
        Answer(200, "retry: 1\n\n" + frame(3, id="evt_3"), sse),
    ]
    async with Receiver(script) as receiver:
        ran = await beside(hub, "tail", "--json", "--since", "earliest", "--count", "3", "--url", receiver.url)
    assert ran.status == 0
    assert [json.loads(line)["id"] for line in ran.out.splitlines()] == ["1", "2", "3"]
    assert [arrival.headers.get("Last-Event-ID") for arrival in receiver.requests] == [None, "2", "2"]
    assert receiver.requests[0].path == "/v1/stream?last_event_id=earliest"


async def test_tail_gives_up_when_its_key_is_refused(hub: Hub) -> None:
    async with Receiver([Answer(401, '{"detail": "The key is unknown."}')]) as receiver:
        ran = await beside(hub, "tail", "--url", receiver.url)
    assert (ran.status, ran.err) == (1, "hub: The key is unknown. [401]\n")


async def test_tail_gives_up_when_its_key_is_revoked_meanwhile(hub: Hub) -> None:
    sse = {"Content-Type": "text/event-stream"}
    script = [Answer(200, "retry: 1\n\n" + frame(1, id="evt_1"), sse), Answer(401, '{"detail": "The key is unknown."}')]
    async with Receiver(script) as receiver:
        ran = await beside(hub, "tail", "--json", "--url", receiver.url)
    assert (ran.status, ran.out.count("\n"), ran.err) == (1, 1, "hub: The key is unknown. [401]\n")


async def test_tail_says_when_an_address_is_no_stream(hub: Hub) -> None:
    async with Receiver([Answer(200, "<h1>Welcome</h1>")]) as receiver:
        ran = await beside(hub, "tail", "--url", receiver.url)
    assert (ran.status, "is not a hub" in ran.err) == (1, True)


def test_a_line_of_tail_tells_what_happened_and_steers_no_terminal() -> None:
    attempt = {"number": 2, "status_code": 500, "duration_ms": 12, "error": "red \x1b[31malert\x1b]0;x\x07"}
    data = {
        "id": "dlv_1",
        "event_type": "order.paid",
        "subscription_id": "sub_1",
        "updated_at": "2026-11-23T12:00:01.250Z",
        "attempts": [attempt],
    }
    line = as_line(ServerSentEvent("delivery.attempted", json.dumps(data), "7", None)).plain
    assert line.startswith("12:00:01.250  delivery.attempted")
    assert "order.paid  dlv_1 → sub_1  attempt 2, 500, 12 ms, red " in line
    assert line.isprintable()
