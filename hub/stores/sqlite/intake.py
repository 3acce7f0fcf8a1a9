"""Accepting events in the SQLite store."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import apsw
import orjson

from hub.errors import HubError, StaleCatalogue
from hub.models import Event
from hub.stores.base import (
    AcceptResult,
    Batch,
    BatchEntry,
    FanOut,
    Idempotency,
    Intake,
    ItemResult,
    Match,
    NewDelivery,
)
from hub.stores.change_documents import cancellation
from hub.stores.kept_answers import another_request, results, unreadable_answer, written
from hub.stores.milliseconds import milliseconds, milliseconds_or_none, not_before
from hub.stores.sqlite.changes import save_changes
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.fan_outs import NewFanOuts, end_fan_out, read_fan_outs, read_match
from hub.stores.sqlite.rows import EVENT_COLUMNS, Cells, event_row, fetch
from hub.stores.stored import events
from hub.stores.unreadable import READ_ERRORS, Unreadable

_DELIVERY_COLUMNS = (
    "id, event_seq, tenant, event_type, subscription_id, channel, status, due_at, appointed, created_at, updated_at,"
    " expires_at"
)
_IDEMPOTENCY_COLUMNS = "tenant, key, fingerprint, verdicts, expires_at"
_CHANGED_SINCE = "SELECT json_array(tenant) AS row FROM records WHERE version > ? GROUP BY tenant"
_RECALL = "SELECT json_array(fingerprint, verdicts, expires_at) AS row FROM idempotency WHERE tenant = ? AND key = ?"


def remembered(fingerprint: str, verdicts: str, given: Idempotency) -> AcceptResult:
    """The answer kept with a key. Raises `Invalid` when the key came with another request then, and `Unavailable` when
    the answer cannot be read."""
    if fingerprint != given.fingerprint:
        raise another_request()
    try:
        return AcceptResult(tuple(results(verdicts)), replayed=True)
    except READ_ERRORS:
        raise unreadable_answer() from None


def delivery_rows(seq: int, event: Event, deliveries: Sequence[NewDelivery], created_at: int, now: int) -> list[Cells]:
    """New deliveries of the event at `seq`, as `_DELIVERY_COLUMNS`; `now` is the store's time."""
    appointed = event.deliver_at is not None
    due_at = not_before(event.deliver_at) if event.deliver_at else now
    expires_at = milliseconds_or_none(event.expires_at)
    return [
        (
            new.id,
            seq,
            event.tenant,
            event.type,
            new.subscription_id,
            new.channel,
            "pending",
            due_at,
            appointed,
            created_at,
            created_at,
            expires_at,
        )
        for new in deliveries
    ]


class _Acceptance:
    """Decides on batches one after the other, and collects what is to be written for all of them.

    What one batch adds counts for the next: `_keys` and `_sources` hold what is in the database and what is new.
    """

    def __init__(self, transaction: Transaction, batches: Sequence[Batch]) -> None:
        self._transaction = transaction
        # Read where they are written: nothing else inserts, so the next numbers are known, and no event is accepted
        # under a catalogue that has changed since its deliveries were chosen.
        self._version, self._seq = transaction.fetch(
            "SELECT json_array((SELECT coalesce(max(version), 0) FROM records),"
            " (SELECT coalesce(max(seq), 0) FROM events)) AS row"
        )[0]
        self._keys = self._known_keys([(b.tenant, b.idempotency.key) for b in batches if b.idempotency])
        self._sources = self._known_sources(
            [
                (b.tenant, e.event.source, e.event.source_id)
                for b in batches
                for e in b.entries
                if e.event.source_id is not None
            ]
        )
        self._moved: dict[int, frozenset[str]] = {}
        self._events: list[Cells] = []
        self._deliveries: list[Cells] = []
        self._feed: list[BatchEntry] = []
        self._fan_outs = NewFanOuts()
        self._new_keys: dict[tuple[str, str], tuple[str | int, ...]] = {}

    def judge(self, batch: Batch) -> AcceptResult | HubError:
        given = batch.idempotency
        if given and (known := self._keys.get((batch.tenant, given.key))) and known[2] > self._transaction.now:
            try:
                return remembered(known[0], known[1], given)
            except HubError as error:
                return error
        if self._is_stale(batch):
            return StaleCatalogue("The catalogue has changed meanwhile; try again.", retry_after=0.0)
        verdicts = [self._judge_entry(batch.tenant, entry) for entry in batch.entries] + list(batch.rejected)
        verdicts.sort(key=lambda verdict: verdict.index)
        if given:
            self._remember(batch.tenant, given, verdicts)
        return AcceptResult(tuple(verdicts))

    def _is_stale(self, batch: Batch) -> bool:
        seen = batch.catalogue_version
        if seen >= self._version:
            return bool(seen > self._version)
        # What other tenants changed since cannot have changed what matches.
        if seen not in self._moved:
            changed = self._transaction.fetch(_CHANGED_SINCE, (seen,))
            self._moved[seen] = frozenset(tenant for (tenant,) in changed)
        return batch.tenant in self._moved[seen]

    def _judge_entry(self, tenant: str, entry: BatchEntry) -> ItemResult:
        event = entry.event
        if event.source_id is not None:
            key = (tenant, event.source, event.source_id)
            if key in self._sources:
                return ItemResult(entry.index, "duplicate", self._sources[key])
            self._sources[key] = event.id
        self._seq += 1
        self._events.append(event_row(self._seq, events.values(event), None, "" if entry.fan_out else None))
        if entry.fan_out:
            self._fan_outs.add(tenant, event.id, self._seq, entry.fan_out)
        accepted, now = milliseconds(event.accepted_at), self._transaction.now
        self._deliveries += delivery_rows(self._seq, event, entry.deliveries, accepted, now)
        self._feed.append(entry)
        return ItemResult(entry.index, "accepted", event.id)

    def _remember(self, tenant: str, given: Idempotency, verdicts: Sequence[ItemResult]) -> None:
        kept = written(verdicts)
        expires_at = self._transaction.now + int(given.seconds * 1000)
        self._keys[tenant, given.key] = (given.fingerprint, kept, expires_at)
        self._new_keys[tenant, given.key] = (tenant, given.key, given.fingerprint, kept, expires_at)

    def write(self) -> None:
        self._transaction.insert("events", EVENT_COLUMNS, self._events)
        self._transaction.insert("deliveries", _DELIVERY_COLUMNS, self._deliveries)
        self._fan_outs.write(self._transaction)
        self._transaction.append(entry.feed for entry in self._feed)
        self._transaction.insert("idempotency", _IDEMPOTENCY_COLUMNS, list(self._new_keys.values()), replace=True)

    def _known_keys(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str, int]]:
        if not keys:
            return {}
        found: list[list[Any]] = self._transaction.fetch(
            "SELECT json_array(known.tenant, known.key, fingerprint, verdicts, expires_at) AS row"
            " FROM json_each(?) AS wanted CROSS JOIN idempotency AS known"
            " ON known.tenant = wanted.value ->> 0 AND known.key = wanted.value ->> 1",
            (orjson.dumps(keys).decode(),),
        )
        return {(tenant, key): (fingerprint, verdicts, at) for tenant, key, fingerprint, verdicts, at in found}

    def _known_sources(self, sources: Sequence[tuple[str, str, str | None]]) -> dict[tuple[str, str, str], str]:
        if not sources:
            return {}
        found: list[list[Any]] = self._transaction.fetch(
            "SELECT json_array(known.tenant, known.source, known.source_id, known.id) AS row"
            " FROM json_each(?) AS wanted CROSS JOIN events AS known ON known.tenant = wanted.value ->> 0"
            " AND known.source = wanted.value ->> 1 AND known.source_id = wanted.value ->> 2",
            (orjson.dumps(sources).decode(),),
        )
        return {(tenant, source, source_id): id_ for tenant, source, source_id, id_ in found}


def _accept(transaction: Transaction, batches: Sequence[Batch]) -> list[AcceptResult | HubError]:
    acceptance = _Acceptance(transaction, batches)
    answers = [acceptance.judge(batch) for batch in batches]
    # Everything at once: each statement makes the thread wait for the interpreter's lock. See docs/decisions/0001.
    acceptance.write()
    return answers


Expansion = tuple[FanOut, Sequence[NewDelivery], str | None]


def _expand(transaction: Transaction, expansions: Sequence[Expansion]) -> list[bool]:
    return [_expand_one(transaction, *expansion) for expansion in expansions]


def _expand_one(
    transaction: Transaction, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None
) -> bool:
    moved = transaction.fetch(
        "SELECT seq AS row FROM events WHERE id = ? AND fan_out_after = ?",
        (fan_out.event.id, fan_out.after),
    )
    # Another part of this process expanded the same chunk, or the event was cancelled.
    if not moved:
        return False
    seq = int(moved[0])
    transaction.change("UPDATE events SET fan_out_after = ? WHERE seq = ?", (after, seq))
    if after is None:
        end_fan_out(transaction, fan_out.event.tenant, seq)
    rows = delivery_rows(seq, fan_out.event, deliveries, transaction.wall, transaction.now)
    transaction.insert("deliveries", _DELIVERY_COLUMNS, rows)
    return True


def _cancel(transaction: Transaction, cancellations: Sequence[tuple[str, str, datetime]]) -> list[bool]:
    return [_cancel_one(transaction, *cancellation) for cancellation in cancellations]


def _cancel_one(transaction: Transaction, tenant: str, event_id: str, at: datetime) -> bool:
    found = transaction.fetch(
        "SELECT seq AS row FROM events WHERE tenant = ? AND id = ? AND cancelled_at IS NULL", (tenant, event_id)
    )
    for seq in found:
        transaction.change(
            "UPDATE events SET cancelled_at = ?, fan_out_after = NULL WHERE seq = ?", (milliseconds(at), seq)
        )
        end_fan_out(transaction, tenant, seq)
        save_changes(transaction, [cancellation(tenant, event_id, at)])
    return bool(found)


def _recall(connection: apsw.Connection, tenant: str, idempotency: Idempotency, now: int) -> AcceptResult | None:
    for fingerprint, verdicts, expires_at in fetch(connection, _RECALL, (tenant, idempotency.key)):
        if expires_at > now:
            return remembered(fingerprint, verdicts, idempotency)
    return None


class SqliteIntake(Intake):
    def __init__(self, writer: Writer, readers: Readers, timeline: Timeline, unreadable: Unreadable) -> None:
        self._writer = writer
        self._readers = readers
        self._timeline = timeline
        self._unreadable = unreadable

    async def accept(self, batch: Batch) -> AcceptResult:
        rows = sum(1 + len(entry.deliveries) for entry in batch.entries)
        return await self._writer.submit(_accept, batch, rows=max(rows, 1))

    async def recall(self, tenant: str, idempotency: Idempotency) -> AcceptResult | None:
        return await self._readers.run(_recall, tenant, idempotency, self._timeline.now())

    async def fan_outs(self, limit: int, after: str = "") -> Sequence[FanOut]:
        return await self._readers.run(read_fan_outs, limit, after, self._unreadable)

    async def match(self, name: str) -> Match | None:
        return await self._readers.run(read_match, name)

    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        expansion: Expansion = (fan_out, deliveries, after)
        return await self._writer.submit(_expand, expansion, rows=max(len(deliveries), 1), vital=True)

    async def cancel(self, tenant: str, event_id: str, at: datetime) -> bool:
        return await self._writer.submit(_cancel, (tenant, event_id, at))
