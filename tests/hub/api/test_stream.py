"""What becomes of the response when its client stops reading."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from hub.api.stream import EventStream
from hub.testing.patience import patience


async def test_a_client_that_makes_no_room_frees_its_listener_and_is_waited_for_quietly() -> None:
    left = asyncio.Event()
    gone = asyncio.Event()
    sent: list[dict[str, Any]] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"id: 1\nevent: e\ndata: {}\n\n"
        finally:
            left.set()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if len(sent) == 3:
            await gone.wait()
        sent.append(message)

    response = EventStream(chunks(), ping=0, send_timeout=0.01)
    answering = asyncio.create_task(response({"type": "http", "method": "GET"}, receive, send))  # type: ignore[arg-type] # a plain dict
    async with patience():
        await left.wait()
        await asyncio.sleep(0.02)
        assert not answering.done()
        gone.set()
        await answering
    assert [message.get("more_body") for message in sent] == [None, True, True, False]
