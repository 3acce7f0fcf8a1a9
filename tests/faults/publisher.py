"""A careful client: it numbers its events, repeats each with one Idempotency-Key until it is accepted, and keeps a
journal of every 202 that is on disk before it goes on."""

import asyncio
import time
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from tests.faults.hub import Hub
from tests.faults.hub_process import ADMIN_KEY
from tests.faults.journal import Journal, read_journal

GIVE_UP_SECONDS = 300.0
OUTSTANDING = 200
"""Events that may wait for their answer at once: a client does not pile up what it cannot get rid of."""
PAUSE_SECONDS = 0.1


class Acked(NamedTuple):
    """One 202. `at` is CLOCK_MONOTONIC when it came, `seconds` how long its request took, `tries` how many it took."""

    number: int
    type: str
    event_id: str
    at: float
    seconds: float
    tries: int


class Publisher:
    """Publishes `{"type": "drill.tick", "data": {"n": number}}`, to each process that answers requests in turn.

    Use as an async context manager.
    """

    def __init__(self, hub: Hub, journal: Path) -> None:
        self._webs = cycle(hub.having("web"))
        self._path = journal
        self._next = 0
        self._forgotten = 0
        self.keyed = True
        """Whether what is published carries an Idempotency-Key."""
        self.refusals: list[int] = []
        """Every status that was answered instead of 202."""

    async def __aenter__(self) -> Self:
        self._journal = Journal(self._path)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
            timeout=aiohttp.ClientTimeout(total=20),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        self._journal.close()

    @property
    def acked(self) -> list[Acked]:
        return [Acked(**line) for line in read_journal(self._path)[self._forgotten :]]

    def forget(self) -> None:
        """Expect nothing more of what was accepted so far."""
        self._forgotten = len(read_journal(self._path))

    async def publish(self, type: str = "drill.tick") -> Acked:
        """Publish one event, through refusals and broken connections, for at most five minutes."""
        (acked,) = await self.publish_batch(1, type)
        return acked

    async def publish_batch(self, count: int, type: str = "drill.tick") -> list[Acked]:
        """Publish so many in one request, as `publish`; a single one goes as itself, and more as a list."""
        numbers = range(self._next, self._next + count)
        self._next += count
        async with asyncio.timeout(GIVE_UP_SECONDS):
            tries = 1
            while (acked := await self._try(numbers, type, tries)) is None:
                tries += 1
                await asyncio.sleep(PAUSE_SECONDS)
        for each in acked:
            self._journal.write(**each._asdict())
        return acked

    async def publish_many(self, count: int, *, clients: int = 1, type: str = "drill.tick") -> list[Acked]:
        """Publish so many, by so many clients at once, each as fast as it is answered."""
        numbers = iter(range(count))

        async def client() -> list[Acked]:
            return [await self.publish(type) for _ in numbers]

        return [acked for some in await asyncio.gather(*(client() for _ in range(clients))) for acked in some]

    async def publish_at(self, rate: float, until: asyncio.Event) -> list[Acked]:
        """Publish at an even rate per second, whether earlier ones were answered or not, and wait for every answer."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        tasks: list[asyncio.Task[Acked]] = []
        ticks = 0
        while not until.is_set():
            if sum(not task.done() for task in tasks) < OUTSTANDING:
                tasks.append(asyncio.create_task(self.publish()))
            ticks += 1
            await asyncio.sleep(started + ticks / rate - loop.time())
        return await asyncio.gather(*tasks)

    async def _try(self, numbers: range, type: str, tries: int) -> list[Acked] | None:
        events = [{"type": type, "data": {"n": number}} for number in numbers]
        started = time.monotonic()
        try:
            async with self._session.post(
                f"{next(self._webs).url}/v1/events",
                json=events if len(events) > 1 else events[0],
                headers={"Idempotency-Key": f"drill-{numbers.start}"} if self.keyed else {},
            ) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            return None
        if response.status != 202:
            self.refusals.append(response.status)
            return None
        at = time.monotonic()
        ids = [item["id"] for item in answer.get("items", [answer])]
        return [
            Acked(number, type, event_id, at, at - started, tries)
            for number, event_id in zip(numbers, ids, strict=True)
        ]
