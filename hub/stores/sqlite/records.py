"""The catalogue's records in the SQLite store."""

from collections.abc import Sequence

import apsw

from hub.errors import HubError, StaleCatalogue
from hub.models import FeedEntry, Record
from hub.stores.base import Records
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.effects import VERSION, put_records
from hub.stores.sqlite.rows import fetch

_CHANGES = """
    SELECT json_array(kind, tenant, id, doc, version) AS row FROM records
    WHERE version > :since AND (:since > 0 OR doc IS NOT NULL) ORDER BY version, kind, tenant, id
"""

Change = tuple[Sequence[Record], Sequence[FeedEntry], int | None]


def _write(transaction: Transaction, changes: Sequence[Change]) -> list[int | HubError]:
    version = transaction.fetch(VERSION)[0]
    outcomes: list[int | HubError] = []
    for records, feed, expected in changes:
        if expected is not None and expected != version:
            outcomes.append(StaleCatalogue("The catalogue has changed meanwhile; try again.", retry_after=0.0))
            continue
        version += bool(records)
        put_records(transaction, records, version)
        transaction.append(feed)
        outcomes.append(version)
    return outcomes


def _changes(connection: apsw.Connection, since: int) -> tuple[list[Record], int]:
    # The version is read first: a write between the two reads gives its records, never its version without them.
    version: int = fetch(connection, VERSION)[0]
    rows = fetch(connection, _CHANGES, {"since": since})
    records = [
        Record(kind, tenant, id_, None if doc is None else doc.encode(), version)
        for kind, tenant, id_, doc, version in rows
    ]
    return records, max([version, *(record.version for record in records)])


class SqliteRecords(Records):
    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        change: Change = (records, feed, expected)
        return await self._writer.submit(_write, change, rows=len(records))

    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        return await self._readers.run(_changes, since)
