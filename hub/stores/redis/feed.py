"""Every state change, kept in order in a stream. One reader in each process wakes everything that waits for entries."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from hub.errors import Unavailable
from hub.models import FeedEntry, FeedKind, FeedRow
from hub.stores.base import Feed
from hub.stores.redis.client.engine import BLOCK_SECONDS, Engine, Reader
from hub.stores.redis.keyspace.codec import entry_from
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script
from hub.stores.unreadable import READ_ERRORS

READ: Final = script("read_feed")
_PAUSE_SECONDS: Final = 0.2
UNREADABLE: Final = FeedEntry("", FeedKind("unreadable"), b"{}")
"""Stands in for an entry that cannot be read. It is of no tenant, so no listener gets it."""


class RedisFeed(Feed):
    """Made by `open_feed`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)
        self._grown = asyncio.Event()
        # Set while somebody waits: a process without listeners makes no calls.
        self._wanted = asyncio.Event()
        self._waiting = 0
        self._closed = False
        self.last = 0
        """The highest id that this process knows."""

    async def read(self, after: int, limit: int, tenant: str | None = None) -> Sequence[FeedRow]:
        if tenant is None:
            return await self._rows(after, limit)
        rows: list[FeedRow] = []
        while len(rows) < limit and after >= 0:
            # Each call looks at a bounded number of entries, most of which may be of other tenants.
            after, *found = await self._engine.run(READ, tenant, after, limit - len(rows), repeat=True)
            parsed = [(id_, self._entry(id_, entry)) for id_, entry in zip(found[::2], found[1::2], strict=True)]
            rows += [FeedRow(int(id_), entry) for id_, entry in parsed if entry is not UNREADABLE]
        return rows

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
        """Read the end of the feed while something waits for it. Runs until cancelled."""
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
        """Wake those who wait: no more entries come."""
        self._closed = True
        self._wake()

    async def _rows(self, after: int, limit: int) -> list[FeedRow]:
        found = await self._engine.ask("XRANGE", self._keys.feed, f"{after + 1}-0", "+", "COUNT", limit)
        return [FeedRow(_number(id_), self._entry(id_, values[3])) for id_, values in found]

    def _entry(self, id_: bytes, packed: bytes) -> FeedEntry:
        try:
            return entry_from(packed)
        except READ_ERRORS as error:
            self._engine.unreadable.note("feed entry", id_.decode(), error)
            # Left out, it would make a page look like the last one.
            return UNREADABLE

    async def _look(self, reader: Reader) -> None:
        """Wake those who wait if there is something new, or wait for it for at most `BLOCK_SECONDS`."""
        # The counter first: after a loss it is far above the last entry, and the gap must be noticed without a new one.
        last = int(await reader.ask("HGET", self._keys.meta, "feed") or 0)
        if last <= self.last:
            place = ("STREAMS", self._keys.feed, f"{last}-0")
            found = await reader.ask("XREAD", "COUNT", 1, "BLOCK", BLOCK_SECONDS * 1000, *place)
            last = _number(found[0][1][0][0]) if found else last
        if last > self.last:
            self.last = last
            self._wake()

    def _wake(self) -> None:
        # A new event, because clearing the old one could come before those who wait on it have run.
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
