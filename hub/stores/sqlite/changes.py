"""Changes to the deliveries of events in the SQLite store."""

from collections.abc import Sequence

import apsw

from hub.stores.base import EventChange, EventChanges
from hub.stores.change_documents import decode_change, encode_change
from hub.stores.milliseconds import milliseconds
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.rows import fetch


def save_changes(transaction: Transaction, changes: Sequence[EventChange]) -> list[None]:
    # Of two that come together under one id, the later one is kept.
    rows = {one.id: (one.id, milliseconds(one.requested_at), encode_change(one).decode()) for one in changes}
    transaction.insert("event_changes", "id, requested_at, doc", list(rows.values()), replace=True)
    return [None] * len(changes)


def _end_changes(transaction: Transaction, ids: Sequence[str]) -> list[None]:
    for id_ in ids:
        transaction.change("DELETE FROM event_changes WHERE id = ?", (id_,))
    return [None] * len(ids)


def _unfinished(connection: apsw.Connection, limit: int) -> list[EventChange]:
    query = "SELECT json_quote(doc) AS row FROM event_changes ORDER BY requested_at, id LIMIT ?"
    return [decode_change(doc) for doc in fetch(connection, query, (limit,))]


class SqliteEventChanges(EventChanges):
    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def save(self, change: EventChange) -> None:
        await self._writer.submit(save_changes, change, vital=True)

    async def unfinished(self, limit: int) -> Sequence[EventChange]:
        return await self._readers.run(_unfinished, limit)

    async def end(self, change: EventChange) -> None:
        await self._writer.submit(_end_changes, change.id, vital=True)
