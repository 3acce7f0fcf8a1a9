"""What results change in the catalogue of the SQLite store, and how its records are written."""

from collections.abc import Iterable, Sequence
from typing import Final

from hub.models import Record
from hub.stores.base import Effect
from hub.stores.sqlite.database.transaction import Transaction

VERSION: Final = "SELECT coalesce(max(version), 0) AS row FROM records"
"""The version of the catalogue."""
_VERSION_OF: Final = "SELECT version AS row FROM records WHERE kind = ? AND tenant = ? AND id = ?"
_COLUMNS: Final = "kind, tenant, id, doc, version"


def put_records(transaction: Transaction, records: Iterable[Record], version: int) -> None:
    """Write records in this version of the catalogue."""
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
            put_records(self._transaction, self._records.values(), self._transaction.fetch(VERSION)[0] + 1)

    def _changed(self, effect: Effect) -> bool:
        key = _key(effect.record)
        return key in self._records or self._transaction.fetch(_VERSION_OF, key) != [effect.version]


def _key(record: Record) -> tuple[str, str, str]:
    return record.kind, record.tenant, record.id
