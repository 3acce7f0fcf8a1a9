"""Every state change, kept in order in the SQLite store."""

import asyncio
from collections.abc import Sequence

import apsw

from hub.errors import Unavailable
from hub.models import FeedEntry, FeedKind, FeedRow, Status
from hub.stores.base import Feed
from hub.stores.sqlite.readers import Readers
from hub.stores.sqlite.rows import fetch

_ENTRIES = """
    SELECT json_array(id, tenant, kind, data, event_type, event_id, subscription_id, status) AS row
    FROM feed WHERE {where} ORDER BY id LIMIT :limit
"""
# Ids have no holes and only the lowest are trimmed, so what is missing below the first kept one was trimmed.
_BOUNDS = """
    SELECT json_array(coalesce((SELECT min(id) - 1 FROM feed), last), last) AS row
    FROM (SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'feed'), 0) AS last)
"""


def _entries(connection: apsw.Connection, after: int, limit: int, tenant: str | None) -> list[FeedRow]:
    values: dict[str, int | str] = {"after": after, "limit": limit}
    where = "id > :after"
    if tenant is not None:
        where += " AND tenant = :tenant"
        values["tenant"] = tenant
    return [_row_from(*row) for row in fetch(connection, _ENTRIES.format(where=where), values)]


def _row_from(
    id_: int,
    tenant: str,
    kind: str,
    data: str,
    event_type: str | None,
    event_id: str | None,
    subscription_id: str | None,
    status: str | None,
) -> FeedRow:
    known = None if status is None else Status(status)
    return FeedRow(id_, FeedEntry(tenant, FeedKind(kind), data.encode(), event_type, event_id, subscription_id, known))


def read_bounds(connection: apsw.Connection) -> tuple[int, int]:
    trimmed, last = fetch(connection, _BOUNDS)[0]
    return trimmed, last


class SqliteFeed(Feed):
    def __init__(self, readers: Readers, last: int) -> None:
        """`last` is the highest id that was given so far."""
        self._readers = readers
        self._last = last
        self._grown = asyncio.Event()
        self._closed = False

    def announce(self, last: int) -> None:
        """Entries up to this id are committed."""
        self._last = last
        self._wake()

    def close(self) -> None:
        """Let those who wait know that nothing more comes."""
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
        self._grown.set()
        self._grown = asyncio.Event()
