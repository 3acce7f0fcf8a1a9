"""Every state change, kept in order in a stream; one reader a process tells all who wait."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from hub.errors import Unavailable
from hub.models import FeedRow
from hub.stores.base import Feed
from hub.stores.redis.client.engine import BLOCK_SECONDS, Engine, Reader
from hub.stores.redis.keyspace.codec import entry_from
from hub.stores.redis.keyspace.key_names import KeyNames

_PART: Final = 1_000
_PAUSE_SECONDS: Final = 0.2


class RedisFeed(Feed):
    """Made by `open_feed`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)
        self._grown = asyncio.Event()
        self._wanted = asyncio.Event()
        self._waiting = 0
        self._closed = False
        self.last = 0
        """The highest id this process has heard of."""

    async def read(self, after: int, limit: int, tenant: str | None = None) -> Sequence[FeedRow]:
        if tenant is None:
            return await self._rows(after, limit)
        rows: list[FeedRow] = []
        while len(rows) < limit:
            part = await self._rows(after, _PART)
            rows += [row for row in part if row.entry.tenant == tenant]
            if len(part) < _PART:
                break
            after = part[-1].id
        return rows[:limit]

    async def wait(self, after: int) -> None:
        self._waiting += 1
        self._wanted.set()
        try:
            while self.last <= after:
                if self._closed:
                    raise Unavailable("The hub is shutting down.", retry_after=5.0)
                await self._grown.wait()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wanted.clear()

    async def bounds(self) -> tuple[int, int]:
        trimmed, last = await self._engine.ask("HMGET", self._keys.meta, "trimmed", "feed")
        return int(trimmed or 0), int(last or 0)

    async def follow(self) -> None:
        """Read the end of the feed while somebody waits for it. Runs until cancelled."""
        reader = self._engine.reader()
        try:
            while True:
                await self._wanted.wait()
                try:
                    await self._look(reader)
                except Unavailable:
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await reader.close()

    def close(self) -> None:
        """Let those who wait know that nothing more comes."""
        self._closed = True
        self._wake()

    async def _rows(self, after: int, limit: int) -> list[FeedRow]:
        found = await self._engine.ask("XRANGE", self._keys.feed, f"{after + 1}-0", "+", "COUNT", limit)
        return [FeedRow(_number(id_), entry_from(values[3])) for id_, values in found]

    async def _look(self, reader: Reader) -> None:
        """Tell those who wait of what is new, or wait for it, but not long."""
        last = int(await reader.ask("HGET", self._keys.meta, "feed") or 0)
        if last <= self.last:
            place = ("STREAMS", self._keys.feed, f"{last}-0")
            found = await reader.ask("XREAD", "COUNT", 1, "BLOCK", BLOCK_SECONDS * 1000, *place)
            last = _number(found[0][1][0][0]) if found else last
        if last > self.last:
            self.last = last
            self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


def _number(id_: bytes) -> int:
    return int(id_.partition(b"-")[0])


@asynccontextmanager
async def open_feed(engine: Engine) -> AsyncIterator[RedisFeed]:
    """The feed, with its reader running."""
    feed = RedisFeed(engine)
    following = asyncio.create_task(feed.follow())
    try:
        yield feed
    finally:
        feed.close()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
