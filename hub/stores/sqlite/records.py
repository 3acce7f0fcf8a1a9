"""The catalogue's records in the SQLite store."""

from collections.abc import Iterable, Sequence

import apsw

from hub.errors import HubError, StaleCatalogue
from hub.models import FeedEntry, Record
from hub.stores.base import Effect, Records
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.rows import fetch

_VERSION = "SELECT coalesce(max(version), 0) AS row FROM records"
_VERSION_OF = "SELECT version AS row FROM records WHERE kind = ? AND tenant = ? AND id = ?"
_CHANGES = """
    SELECT json_array(kind, tenant, id, doc, version) AS row FROM records
    WHERE version > :since AND (:since > 0 OR doc IS NOT NULL) ORDER BY version, kind, tenant, id
"""
_COLUMNS = "kind, tenant, id, doc, version"

Change = tuple[Sequence[Record], Sequence[FeedEntry], int | None]


def _write(transaction: Transaction, changes: Sequence[Change]) -> list[int | HubError]:
    version = transaction.fetch(_VERSION)[0]
    outcomes: list[int | HubError] = []
    for records, feed, expected in changes:
        if expected is not None and expected != version:
            outcomes.append(StaleCatalogue("The catalogue has changed meanwhile; try again.", retry_after=0.0))
            continue
        version += bool(records)
        _put(transaction, records, version)
        transaction.append(feed)
        outcomes.append(version)
    return outcomes


def _put(transaction: Transaction, records: Iterable[Record], version: int) -> None:
    rows = [(r.kind, r.tenant, r.id, None if r.doc is None else r.doc.decode(), version) for r in records]
    transaction.insert("records", _COLUMNS, rows, replace=True)


class Effects:
    """Decides on the effects of results one after the other, and collects what is to be written for all of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._records: dict[tuple[str, str, str], Record] = {}

    def apply(self, effects: Sequence[Effect]) -> bool:
        """Whether all of the records are still in the versions that are named; if not, none is changed."""
        if any(self._changed(effect) for effect in effects):
            return False
        for effect in effects:
            self._records[_key(effect.record)] = effect.record
        return True

    def write(self) -> None:
        if self._records:
            _put(self._transaction, self._records.values(), self._transaction.fetch(_VERSION)[0] + 1)

    def _changed(self, effect: Effect) -> bool:
        key = _key(effect.record)
        return key in self._records or self._transaction.fetch(_VERSION_OF, key) != [effect.version]


def _key(record: Record) -> tuple[str, str, str]:
    return record.kind, record.tenant, record.id


def _changes(connection: apsw.Connection, since: int) -> tuple[list[Record], int]:
    # The version is read first: a write between the two reads gives its records, never its version without them.
    version: int = fetch(connection, _VERSION)[0]
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
