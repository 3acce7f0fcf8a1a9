"""Housekeeping of the SQLite store.

What is removed leaves free pages for the next events; the file does not become smaller.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import apsw
import orjson

from hub.errors import HubError
from hub.stores.base import Backlog, Removed, Upkeep
from hub.stores.milliseconds import milliseconds
from hub.stores.sqlite.backlog import read_backlog
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.rows import fetch

_TASK_AGE: Final = timedelta(days=7)

_STAYS: Final = "(status IN ('pending', 'sending') OR updated_at >= :before)"
# The index orders events by tenant and then time, so the oldest events are found one tenant after the other.
_PURGEABLE: Final = f"""
    WITH RECURSIVE tenants (id) AS (
        SELECT min(tenant) FROM events
        UNION ALL
        SELECT (SELECT min(tenant) FROM events WHERE tenant > tenants.id) FROM tenants WHERE tenants.id IS NOT NULL)
    SELECT old.value AS row FROM tenants, json_each((
        SELECT json_group_array(seq) FROM (
            SELECT seq FROM events WHERE tenant = tenants.id AND accepted_at < :before AND fan_out_after IS NULL
                AND NOT EXISTS (
                    SELECT 1 FROM deliveries WHERE event_seq = events.seq AND {_STAYS})
            ORDER BY accepted_at LIMIT :limit))) AS old
    LIMIT :limit
"""
# Deliveries of what was found outside a transaction may have been replayed in the meantime.
_STILL_PURGEABLE: Final = f"""
    SELECT seq AS row FROM json_each(:old) AS old CROSS JOIN events ON events.seq = old.value
    WHERE fan_out_after IS NULL AND NOT EXISTS (
        SELECT 1 FROM deliveries WHERE event_seq = events.seq AND {_STAYS})
"""
_DELIVERIES_OF: Final = """
    SELECT json_array(seq, 1 + (SELECT count(*) FROM attempts WHERE delivery_seq = deliveries.seq)) AS row
    FROM deliveries WHERE event_seq IN (SELECT value FROM json_each(?)) LIMIT ?
"""
_WITHOUT_DELIVERIES: Final = """
    SELECT old.value AS row FROM json_each(?) AS old
    WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE event_seq = old.value) LIMIT ?
"""
_OLDEST_ENTRIES: Final = "SELECT json_array(id, written_at) AS row FROM feed ORDER BY id LIMIT ?"
_HIGHEST_ENTRY: Final = "SELECT coalesce(max(id), 0) AS row FROM feed"


def _purgeable(connection: apsw.Connection, before: int, limit: int) -> list[int]:
    return fetch(connection, _PURGEABLE, {"before": before, "limit": limit})


def _purge(transaction: Transaction, calls: Sequence[tuple[Sequence[int], int, int]]) -> list[tuple[int, list[int]]]:
    return [_purge_part(transaction, *call) for call in calls]


def _purge_part(transaction: Transaction, seqs: Sequence[int], before: int, room: int) -> tuple[int, list[int]]:
    """Remove at most `room` rows of these events. Gives how many events are gone, and those that are left."""
    events: list[int] = transaction.fetch(_STILL_PURGEABLE, {"old": _json(seqs), "before": before})
    deliveries: list[int] = []
    for seq, rows in transaction.fetch(_DELIVERIES_OF, (_json(events), room)):
        # The first in any case, however many attempts it has: otherwise nothing would ever be removed.
        if deliveries and rows > room:
            break
        deliveries.append(seq)
        room -= rows
    of_these = (_json(deliveries),)
    transaction.change("DELETE FROM attempts WHERE delivery_seq IN (SELECT value FROM json_each(?))", of_these)
    transaction.change("DELETE FROM deliveries WHERE seq IN (SELECT value FROM json_each(?))", of_these)
    removed = transaction.fetch(_WITHOUT_DELIVERIES, (_json(events), max(room, 0)))
    transaction.change("DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?))", (_json(removed),))
    return len(removed), sorted({*events}.difference(removed))


def _json(seqs: Sequence[int]) -> str:
    return orjson.dumps(seqs).decode()


def _purge_expired(transaction: Transaction, limits: Sequence[int]) -> list[int]:
    return [_purge_expired_part(transaction, limit) for limit in limits]


def _purge_expired_part(transaction: Transaction, limit: int) -> int:
    removed = transaction.change(
        "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE expires_at <= ? LIMIT ?)",
        (transaction.now, limit),
    )
    return removed + transaction.change(
        "DELETE FROM tasks WHERE rowid IN (SELECT rowid FROM tasks"
        " WHERE status IN ('completed', 'failed', 'cancelled') AND updated_at < ? LIMIT ?)",
        (transaction.wall - _TASK_AGE // timedelta(milliseconds=1), limit - removed),
    )


def _trim_feed(transaction: Transaction, calls: Sequence[tuple[int, int, int]]) -> list[int]:
    return [_trim_feed_part(transaction, *call) for call in calls]


def _trim_feed_part(transaction: Transaction, before: int, keep: int, limit: int) -> int:
    oldest: list[Any] = transaction.fetch(_OLDEST_ENTRIES, (limit,))
    highest: Any = transaction.fetch(_HIGHEST_ENTRY)[0]
    last = 0
    for id_, written_at in oldest:
        # Only from the front: an entry that looks old because the clock was set back must not leave a gap.
        if written_at >= before and id_ > highest - keep:
            break
        last = id_
    return transaction.change("DELETE FROM feed WHERE id <= ?", (last,)) if last else 0


def _touch(transaction: Transaction, items: Sequence[None]) -> list[None]:
    """Write a value that is there already, to see whether the disk accepts writes."""
    version = transaction.fetch("SELECT user_version AS row FROM pragma_user_version")[0]
    transaction.change(f"PRAGMA user_version = {version:d}")
    return list(items)


def _answers(connection: apsw.Connection) -> bool:
    return bool(fetch(connection, "SELECT 1 AS row"))


class SqliteUpkeep(Upkeep):
    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers
        # Found by the last search: a search goes past all that must stay, which costs more than one call may remove.
        self._found: tuple[datetime | None, Sequence[int]] = None, ()

    async def purge(self, before: datetime, limit: int) -> Removed:
        known, seqs = self._found
        if known != before or not seqs:
            seqs = await self._readers.run(_purgeable, milliseconds(before), limit)
        if not seqs:
            return Removed(0, more=False)
        removed, left = await self._writer.submit(_purge, (seqs, milliseconds(before), limit), rows=limit, vital=True)
        self._found = before, left
        return Removed(removed, more=True)

    async def purge_expired(self, limit: int) -> Removed:
        removed = await self._writer.submit(_purge_expired, limit, rows=limit, vital=True)
        return Removed(removed, more=removed == limit)

    async def trim_feed(self, before: datetime, keep: int, limit: int) -> Removed:
        removed = await self._writer.submit(_trim_feed, (milliseconds(before), keep, limit), rows=limit, vital=True)
        return Removed(removed, more=removed == limit)

    async def backlog(self, tenant: str, lanes: Mapping[str, str], held: Collection[str]) -> Mapping[str, Backlog]:
        return await self._readers.run(read_backlog, tenant, lanes, held)

    async def check(self) -> Sequence[str]:
        wrong = []
        try:
            await self._readers.run(_answers)
            # While there is no trouble, the writes of others are the proof; a check must not add one of its own.
            if self._writer.trouble is not None:
                await self._writer.submit(_touch, None)
        except HubError as error:
            wrong.append(error.detail)
        return wrong

    async def losses(self) -> Sequence[str]:
        return ()
