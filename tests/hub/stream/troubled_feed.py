"""A feed that tests hold up, and let fail."""

import asyncio
from collections.abc import Sequence

from hub.models import FeedRow
from hub.stores.base import Feed


class TroubledFeed(Feed):
    """A store's feed that can be made to fail, to wait, and to forget."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.trouble: Exception | None = None
        self.trimmed = 0
        self.trimmed_after_next_read = 0
        self.reader_may_go, self.history_may_go = asyncio.Event(), asyncio.Event()
        self.reader_may_go.set()
        self.history_may_go.set()

    async def read(self, after: int, limit: int, tenant: str | None = None) -> Sequence[FeedRow]:
        await (self.reader_may_go if tenant is None else self.history_may_go).wait()
        if self.trouble:
            raise self.trouble
        rows = [row for row in await self._feed.read(after, limit, tenant) if row.id > self.trimmed]
        self.trimmed = max(self.trimmed, self.trimmed_after_next_read)
        return rows

    async def wait(self, after: int) -> None:
        await self._feed.wait(after)

    async def bounds(self) -> tuple[int, int]:
        if self.trouble:
            raise self.trouble
        trimmed, newest = await self._feed.bounds()
        return max(trimmed, self.trimmed), newest
