"""Stream tickets in the SQLite store."""

from collections.abc import Mapping, Sequence

import apsw
import orjson

from hub.stores.base import Tickets
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.rows import fetch

_FORGOTTEN_AT_ONCE = 500
_FORGET = "DELETE FROM tickets WHERE rowid IN (SELECT rowid FROM tickets WHERE expires_at <= ? LIMIT ?)"
_FIND = "SELECT json_quote(kept) AS row FROM tickets WHERE digest = ? AND expires_at > ?"
_REPLACE = "UPDATE tickets SET kept = ?, expires_at = ? WHERE digest = ? AND expires_at > ? AND kept IN (?, ?)"
_UNCHANGED = """
    SELECT json_quote(digest) AS row FROM json_each(?) AS asked CROSS JOIN tickets ON digest = asked.key
    WHERE kept = asked.value AND expires_at > ?
"""
_EXTEND = "UPDATE tickets SET expires_at = ? WHERE digest IN (SELECT value FROM json_each(?))"


def _put(transaction: Transaction, rows: Sequence[tuple[str, str, int]]) -> list[None]:
    # Those that were never opened, or not again: as many as come each time, so that they never become many.
    transaction.change(_FORGET, (transaction.now, _FORGOTTEN_AT_ONCE))
    ending = [(digest, kept, transaction.now + span) for digest, kept, span in rows]
    transaction.insert("tickets", "digest, kept, expires_at", ending, replace=True)
    return [None] * len(rows)


def _find(connection: apsw.Connection, digest: str, now: int) -> bytes | None:
    found = fetch(connection, _FIND, (digest, now))
    return found[0].encode() if found else None


def _replace(transaction: Transaction, calls: Sequence[tuple[str, str, str, int]]) -> list[bool]:
    return [
        transaction.change(_REPLACE, (kept, transaction.now + span, digest, transaction.now, former, kept)) == 1
        for digest, former, kept, span in calls
    ]


def _extend(transaction: Transaction, calls: Sequence[tuple[Mapping[str, str], int]]) -> list[frozenset[str]]:
    return [_extend_some(transaction, asked, span) for asked, span in calls]


def _extend_some(transaction: Transaction, asked: Mapping[str, str], span: int) -> frozenset[str]:
    unchanged = transaction.fetch(_UNCHANGED, (orjson.dumps(asked).decode(), transaction.now))
    transaction.change(_EXTEND, (transaction.now + span, orjson.dumps(unchanged).decode()))
    return frozenset(unchanged)


class SqliteTickets(Tickets):
    def __init__(self, writer: Writer, readers: Readers, timeline: Timeline) -> None:
        self._writer = writer
        self._readers = readers
        self._timeline = timeline

    async def put(self, digest: str, kept: bytes, seconds: float) -> None:
        await self._writer.submit(_put, (digest, kept.decode(), int(seconds * 1000)))

    async def find(self, digest: str) -> bytes | None:
        return await self._readers.run(_find, digest, self._timeline.now())

    async def replace(self, digest: str, former: bytes, kept: bytes, seconds: float) -> bool:
        call = (digest, former.decode(), kept.decode(), int(seconds * 1000))
        return await self._writer.submit(_replace, call)

    async def extend(self, kept: Mapping[str, bytes], seconds: float) -> frozenset[str]:
        asked = {digest: text.decode() for digest, text in kept.items()}
        return await self._writer.submit(_extend, (asked, int(seconds * 1000)), rows=max(len(asked), 1))
