"""Follow everything that happens in a hub, over as many connections as it takes, and miss nothing.

Run it beside a hub, with a key that may read, and optionally with event type patterns or names of stream events:

    HUB_KEY=$(hub keys create watcher --scope read) python -m examples.follow_stream 'order.*'
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

SILENCE_SECONDS = 45.0
"""The hub sends a comment every 15 s. Three that are missing mean that the connection is dead."""
RETRY_SECONDS = 1.0
"""How long to wait before another connection, until the hub says how long."""
LONGEST_WAIT_SECONDS = 30.0


async def follow(
    hub: httpx.AsyncClient, types: str = "", sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> AsyncGenerator[ServerSentEvent, None]:
    """Every event from now on. Raises `httpx.HTTPStatusError` when the hub refuses, such as a key that may not read."""
    cursor, wait = "", RETRY_SECONDS
    while True:
        headers = {"Last-Event-ID": cursor} if cursor else {}
        try:
            async with aconnect_sse(hub, "GET", "/v1/stream", params={"types": types}, headers=headers) as source:
                if source.response.is_error:
                    await source.response.aread()
                source.response.raise_for_status()
                sys.stderr.write(f"Listening, from {cursor or 'now'} on.\n")
                # A stream that ends without an event is a hub that is too busy or stops: wait longer each time.
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
                async for event in source.aiter_sse():
                    cursor = event.id
                    # The hub names the time to wait once a connection, with its first event.
                    wait = wait if event.retry is None else event.retry / 1000
                    # This one only moves the cursor past events that the types leave out.
                    if event.event != "cursor":
                        yield event
        except httpx.TransportError as error:
            sys.stderr.write(f"The connection broke ({type(error).__name__}).\n")
        except httpx.HTTPStatusError as error:
            if error.response.is_client_error:
                raise
        # Connections also end by themselves: after ten minutes, when the hub stops, when there are too many.
        await sleep(wait)


async def main(types: str) -> None:
    timeout = httpx.Timeout(10, read=SILENCE_SECONDS)
    url, key = os.environ.get("HUB_URL", "http://127.0.0.1:8000"), os.environ.get("HUB_KEY", "").strip()
    if not key:
        sys.exit("Set HUB_KEY to a key with the scope read.")
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=False) as hub:
        async for event in follow(hub, types):
            print(event.id, event.event, event.data, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(",".join(sys.argv[1:])))
    except httpx.HTTPStatusError as refused:
        # The body is a problem (RFC 9457), which says what is wrong and what to do.
        sys.exit(f"The hub refuses: {refused.response.status_code} {refused.response.text}")
    except KeyboardInterrupt:
        sys.exit(130)
