"""Every state change, kept in order in the SQLite store."""

import asyncio
from collections.abc import Sequence
from typing import Final

import apsw

from hub.errors import Unavailable
from hub.models import FeedRow
from hub.stores.base import Feed
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.rows import FEED_MEMBERS, fetch
from hub.stores.stored import feed_entries

_ENTRIES: Final = f"""
    SELECT json_array(id, {FEED_MEMBERS}) AS row FROM feed
    WHERE {{where}} ORDER BY id LIMIT :limit
"""
# Ids have no gaps and only the lowest are trimmed, so every id below the first one kept was trimmed.
_BOUNDS: Final = """
    SELECT json_array(coalesce((SELECT min(id) - 1 FROM feed), last), last) AS row
    FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'feed'), 0) AS last)
"""


def _entries(connection: apsw.Connection, after: int, limit: int, tenant: str | None) -> list[FeedRow]:
    values: dict[str, int | str] = {"after": after, "limit": limit}
    where = "id > :after"
    if tenant is not None:
        where += " AND tenant = :tenant"
        values["tenant"] = tenant
    rows = fetch(connection, _ENTRIES.format(where=where), values)
    return [FeedRow(id_, feed_entries.restored(*members)) for id_, *members in rows]


def read_bounds(connection: apsw.Connection) -> tuple[int, int]:
    trimmed, last = fetch(connection, _BOUNDS)[0]
    return trimmed, last


class SqliteFeed(Feed):
    def __init__(self, readers: Readers, last: int) -> None:
        """`last` is the highest id given so far."""
        self._readers = readers
        self._last = last
        self._grown = asyncio.Event()
        self._closed = False

    def announce(self, last: int) -> None:
        """Wake those who wait: entries up to this id are committed."""
        self._last = last
        self._wake()

    def close(self) -> None:
        """Wake those who wait: no more entries come."""
        self._closed = True
        self._wake()

    async def read(self, after: int, limit: int, tenant: str | None = None) -> Sequence[FeedRow]:
        return await self._readers.run(_entries, after, limit, tenant)

    async def wait(self, after: int) -> None:
        while self._last <= after:
            if self._closed:
                raise Unavailable("The hub is shutting down.", retry_after=5.0)
            await self._grown.wait()

    async def bounds(self) -> tuple[int, int]:
        return await self._readers.run(read_bounds)

    def _wake(self) -> None:
        # A new event, because clearing the old one could come before those who wait on it have run.
        self._grown.set()
        self._grown = asyncio.Event()
