"""Listeners of the live stream, many at once, that read as an EventSource does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import cycle

import aiohttp
import orjson

from hub.testing.patience import patience, soon
from tests.faults.hub import Hub
from tests.faults.hub_process import ADMIN_KEY, HubProcess

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
        await self._until(count, lambda: len(self.events))

    async def told_of(self, name: str, count: int) -> None:
        """Return once it was told of so many events of this name."""
        await self._until(count, lambda: sum(told == name for _, told in self.events))

    async def _until(self, count: int, counted: Callable[[], int]) -> None:
        async with patience():
            while counted() < count:
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
        await soon(self._reading)

    async def over(self) -> None:
        """Return once the stream has ended, however long that takes."""
        await asyncio.wait([self._reading])

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
                name, _, value = line.rstrip(b"\n").partition(b":")
                if name == b"retry":
                    # It counts at once: at the end of a stream no blank line follows it.
                    self.retry = int(value)
                    self.retries += 1
                elif name:
                    block[name.decode()] = value.removeprefix(b" ")
                elif line == b"\n":
                    self._dispatch(block)
                    block = {}
        except (aiohttp.ClientError, ConnectionError):
            pass
        finally:
            self._grown.set()

    def _dispatch(self, block: dict[str, bytes]) -> None:
        self.cursor = block["id"].decode()
        if block["event"] != b"cursor":
            self.events.append((int(block["id"]), block["event"].decode()))
            self.data.append(block["data"])
            self._grown.set()


@asynccontextmanager
async def listening(hub: Hub | HubProcess, count: int, *, last_event_id: str) -> AsyncIterator[list[Listener]]:
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


class Follower:
    """One listener that, as an EventSource before a load balancer, comes back to another process whenever its stream
    ends, from where it was."""

    def __init__(self, webs: Sequence[HubProcess]) -> None:
        self.streams = 0
        """How many streams it took."""
        self._listeners: list[Listener] = []
        self._webs = cycle(webs)
        self._cursor = "earliest"
        self._leave = asyncio.Event()

    @property
    def events(self) -> list[tuple[int, str]]:
        """What it was told, over all streams."""
        return [event for listener in self._listeners for event in listener.events]

    def accepted(self) -> list[str]:
        """The ids of the events that it was told were accepted."""
        return [id_ for listener in self._listeners for id_ in listener.accepted()]

    def leave(self) -> None:
        """End the stream of now, and come back elsewhere."""
        self._leave.set()

    async def follow(self) -> None:
        """Runs until cancelled."""
        for web in self._webs:
            with suppress(aiohttp.ClientError, AssertionError):
                await self._listen(web)
            await asyncio.sleep(0.1)

    async def _listen(self, web: HubProcess) -> None:
        async with listening(web, 1, last_event_id=self._cursor) as (listener,):
            self.streams += 1
            self._listeners.append(listener)
            self._leave.clear()
            waits = [asyncio.create_task(listener.over()), asyncio.create_task(self._leave.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
                self._cursor = listener.cursor or self._cursor
