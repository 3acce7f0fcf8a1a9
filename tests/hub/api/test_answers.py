"""A large answer leaves piece by piece, and what is not read yet counts."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from hub.api.answers import PIECE_BYTES, LargeAnswer
from hub.telemetry.request_context import begin_request, identified
from tests.api_support import Api

CONTENT = bytes(range(256)) * 1_024


def scope_of(api: Api) -> dict[str, Any]:
    return {"type": "http", "app": api.transport.app}


async def never() -> Message:
    raise AssertionError


async def test_a_large_answer_leaves_in_pieces_and_is_held_until_the_last(api: Api) -> None:
    begin_request(None)
    identified("default")
    memory, held, sent = api.process.core.memory, [], list[Message]()

    async def send(message: Message) -> None:
        held.append(memory.held)
        sent.append(message)

    await LargeAnswer(CONTENT, 200, None, "application/json")(scope_of(api), never, send)
    start, *bodies = sent
    assert (start["status"], b"".join(message["body"] for message in bodies)) == (200, CONTENT)
    assert {len(message["body"]) for message in bodies} == {PIECE_BYTES}
    assert [message["more_body"] for message in bodies] == [True] * (len(bodies) - 1) + [False]
    assert set(held) == {len(CONTENT)}
    assert memory.held == 0


async def test_an_answer_without_room_is_refused_and_the_others_go_on(api: Api) -> None:
    memory = api.process.core.memory
    reader = await api.holder("read", tenant="acme")
    other = await api.holder("read", "events:write", tenant="other")
    accepted = await other.post("/v1/events", json={"type": "stock.low", "data": "x" * 100_000})
    event = f"/v1/events/{accepted.json()['id']}"
    assert memory.take("acme", memory.size // 2)
    assert (await other.get(event)).status_code == 200
    assert memory.take("other", memory.size // 4)
    refused = await other.get(event)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (await reader.get("/v1/events")).status_code == 200, "what is small is never refused"
    lines = (await api.admin.get("/metrics")).text.splitlines()
    metrics = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(metrics["hub_buffered_bytes"]) == memory.size * 3 // 4
    assert float(metrics["hub_buffer_refusals_total"]) == 1


async def test_a_client_that_does_not_read_its_answer_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.api.answers.ANSWER_SECONDS", 0.01)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await never_read.wait()

    never_read = asyncio.Event()
    await LargeAnswer(CONTENT, 200, None, "application/json")(scope_of(api), never, send)
    assert api.process.core.memory.held == 0
