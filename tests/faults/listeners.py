"""Listeners of the live stream, many at once, that read as an EventSource does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import orjson

from tests.faults.hub_process import ADMIN_KEY, HubProcess

PATIENCE_SECONDS = 20.0
QUIET_SECONDS = 0.5


class Listener:
    """What one connection was told: `events` as (cursor, name), with the JSON of each in `data`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.events: list[tuple[int, str]] = []
        self.data: list[bytes] = []
        self.cursor = ""
        self.retry = 0
        """Milliseconds after which to come back, as it was told last; `retries` is how often it was told."""
        self.retries = 0
        self._response = response
        self._grown = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def told(self, count: int) -> None:
        """Return once it was told of so many events."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.events) < count:
                assert not self._reading.done(), f"the stream ended after {len(self.events)} of {count} events"
                self._grown.clear()
                await self._grown.wait()

    async def quiet(self) -> None:
        """Return once nothing came for a while."""
        with suppress(TimeoutError):
            while True:
                self._grown.clear()
                await asyncio.wait_for(self._grown.wait(), QUIET_SECONDS)

    async def ended(self) -> None:
        """Return once the hub has ended the stream, or broken it."""
        await asyncio.wait_for(self._reading, PATIENCE_SECONDS)

    def accepted(self) -> list[str]:
        """The ids of the events that it was told were accepted."""
        told = zip(self.events, self.data, strict=True)
        return [orjson.loads(data)["id"] for (_, name), data in told if name == "event.accepted"]

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._response.close()

    async def _read(self) -> None:
        block: dict[str, bytes] = {}
        try:
            async for line in self._response.content:
                name, _, value = line.rstrip(b"\n").partition(b": ")
                if name:
                    block[name.decode()] = value
                else:
                    self._dispatch(block)
                    block = {}
        except (aiohttp.ClientError, ConnectionError):
            pass
        finally:
            self._grown.set()

    def _dispatch(self, block: dict[str, bytes]) -> None:
        if "retry" in block:
            self.retry = int(block["retry"])
            self.retries += 1
        if "id" in block:
            self.cursor = block["id"].decode()
        if "data" in block:
            self.events.append((int(block["id"]), block["event"].decode()))
            self.data.append(block["data"])
            self._grown.set()


@asynccontextmanager
async def listening(hub: HubProcess, count: int, *, last_event_id: str) -> AsyncIterator[list[Listener]]:
    """So many listeners that begin after this cursor."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                headers={"Authorization": f"Bearer {ADMIN_KEY}", "Last-Event-ID": last_event_id},
                timeout=aiohttp.ClientTimeout(total=None),
            )
        )
        listeners = []
        for _ in range(count):
            response = await session.get(f"{hub.url}/v1/stream")
            assert response.status == 200
            listener = Listener(response)
            stack.push_async_callback(listener.close)
            listeners.append(listener)
        yield listeners
