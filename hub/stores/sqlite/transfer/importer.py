"""Writes documents of another store into the database. What is there already stays as it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson
from msgspec.structs import astuple

from hub.errors import HubError
from hub.stores.base import Match, Piece, Section
from hub.stores.change_documents import decode_change
from hub.stores.documents import (
    Counters,
    DeliveryDocument,
    EventDocument,
    FeedDocument,
    IdempotencyDocument,
    RecordDocument,
    TaskDocument,
    decode,
)
from hub.stores.sqlite.changes import save_changes
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.fan_outs import NewFanOuts
from hub.stores.sqlite.rows import ATTEMPT_COLUMNS, EVENT_COLUMNS, FEED_MEMBERS, Cells, event_row
from hub.stores.sqlite.tasks import TASK_COLUMNS, task_row
from hub.stores.stored import StoredEvent

_RECORD_COLUMNS: Final = "kind, tenant, id, doc, version"
_DELIVERY_COLUMNS: Final = (
    "seq, id, event_seq, tenant, event_type, subscription_id, channel, status, reason, attempt_count, schedule_base,"
    " token, cause, due_at, appointed, lease_until, created_at, updated_at, checkpoint, steps_spared, expires_at"
)
_KEY_COLUMNS: Final = "tenant, key, fingerprint, verdicts, expires_at"


def write_pieces(transaction: Transaction, pieces: Sequence[tuple[Section, Piece]]) -> list[None]:
    for section, piece in pieces:
        _PUT[section](transaction, piece.documents)
        transaction.insert("transfer", "section, reached", [(section, piece.after)], replace=True)
    return [None] * len(pieces)


def _put_counters(transaction: Transaction, documents: Sequence[bytes]) -> None:
    """Only the feed's last id is kept: the records have the catalogue's version, and the first entry of the feed tells
    what was trimmed before it."""
    for counters in decode(documents, Counters):
        # The feed gives no id twice, https://www.sqlite.org/autoinc.html.
        if not transaction.change("UPDATE sqlite_sequence SET seq = ? WHERE name = 'feed'", (counters.feed,)):
            transaction.insert("sqlite_sequence", "name, seq", [("feed", counters.feed)])


def _put_records(transaction: Transaction, documents: Sequence[bytes]) -> None:
    rows = [(r.kind, r.tenant, r.id, r.doc, r.version) for r in decode(documents, RecordDocument)]
    transaction.insert("records", _RECORD_COLUMNS, rows, replace=True)


def _put_events(transaction: Transaction, documents: Sequence[bytes]) -> None:
    given = decode(documents, EventDocument)
    seqs = _known(transaction, "events", [document.event.id for document in given])
    next_seq = _highest(transaction, "events") + 1
    rows: list[Cells] = []
    fan_outs = NewFanOuts()
    for document in given:
        id_ = document.event.id
        if id_ not in seqs:
            if document.goes_on:
                raise HubError("Deliveries came without their event; begin again with an empty destination.")
            seqs[id_] = next_seq + len(rows)
            members, kept = astuple(document.event), (document.cancelled_at, document.fan_out_after)
            rows.append(event_row(seqs[id_], members, *kept))
            if document.fan_out_after is not None:
                match = None if document.match is None else Match(document.match)
                fan_outs.add(document.event.tenant, id_, seqs[id_], match)
    transaction.insert("events", EVENT_COLUMNS, rows)
    fan_outs.write(transaction)
    _put_deliveries(transaction, given, seqs)


def _put_deliveries(transaction: Transaction, given: Sequence[EventDocument], event_seqs: Mapping[str, int]) -> None:
    # A piece may come again after an interruption, so some or all of it may be there.
    there = _known(transaction, "deliveries", [sent.id for document in given for sent in document.deliveries])
    next_seq = _highest(transaction, "deliveries") + 1
    rows: list[Cells] = []
    attempts: list[Cells] = []
    for document in given:
        event = document.event
        for sent in document.deliveries:
            if sent.id not in there:
                seq = next_seq + len(rows)
                rows.append(_delivery_row(seq, event_seqs[event.id], event, sent, transaction.ahead))
                attempts += [
                    (seq, number, event.tenant, sent.channel, *astuple(attempt))
                    for number, attempt in sent.attempts.items()
                ]
    transaction.insert("deliveries", _DELIVERY_COLUMNS, rows)
    transaction.insert("attempts", ATTEMPT_COLUMNS, attempts)


def _put_changes(transaction: Transaction, documents: Sequence[bytes]) -> None:
    save_changes(transaction, list(map(decode_change, documents)))


def _put_keys(transaction: Transaction, documents: Sequence[bytes]) -> None:
    ahead = transaction.ahead
    rows = [
        (kept.tenant, kept.key, kept.fingerprint, orjson.dumps(kept.verdicts).decode(), kept.expires_at - ahead)
        for kept in decode(documents, IdempotencyDocument)
    ]
    transaction.insert("idempotency", _KEY_COLUMNS, rows, replace=True)


def _put_tasks(transaction: Transaction, documents: Sequence[bytes]) -> None:
    rows = [task_row(kept.task()) for kept in decode(documents, TaskDocument)]
    transaction.insert("tasks", TASK_COLUMNS, rows, replace=True)


def _put_feed(transaction: Transaction, documents: Sequence[bytes]) -> None:
    rows = [(kept.id, kept.written_at, *astuple(kept.entry)) for kept in decode(documents, FeedDocument)]
    transaction.insert("feed", f"id, written_at, {FEED_MEMBERS}", rows, replace=True)


_PUT: Final[Mapping[Section, Callable[[Transaction, Sequence[bytes]], None]]] = {
    Section.COUNTERS: _put_counters,
    Section.RECORDS: _put_records,
    Section.EVENTS: _put_events,
    Section.EVENT_CHANGES: _put_changes,
    Section.IDEMPOTENCY: _put_keys,
    Section.TASKS: _put_tasks,
    Section.FEED: _put_feed,
}


def _known(transaction: Transaction, table: str, ids: Sequence[str]) -> dict[str, int]:
    """The seq of each of these ids that is in the table."""
    query = f"SELECT json_array(id, seq) AS row FROM {table} WHERE id IN (SELECT value FROM json_each(?))"
    return dict(transaction.fetch(query, (orjson.dumps(ids).decode(),)))


def _highest(transaction: Transaction, table: str) -> int:
    highest: int = transaction.fetch(f"SELECT coalesce(max(seq), 0) AS row FROM {table}")[0]
    return highest


def _is_appointed(event: StoredEvent, sent: DeliveryDocument) -> bool:
    """Whether it waits for the instant that its publisher gave, which a store rounds up to a millisecond."""
    if event.deliver_at is None or sent.due_at is None or sent.attempt_count:
        return False
    return 0 <= sent.due_at - event.deliver_at <= 1


def _delivery_row(seq: int, event_seq: int, event: StoredEvent, sent: DeliveryDocument, ahead: int) -> Cells:
    appointed = _is_appointed(event, sent)
    return (
        seq,
        sent.id,
        event_seq,
        event.tenant,
        event.type,
        sent.subscription_id,
        sent.channel,
        sent.status,
        sent.reason,
        sent.attempt_count,
        sent.schedule_base,
        sent.token,
        sent.cause,
        sent.due_at if sent.due_at is None or appointed else sent.due_at - ahead,
        appointed,
        sent.updated_at if sent.status == "sending" else None,
        sent.created_at,
        sent.updated_at,
        sent.checkpoint,
        sent.steps_spared,
        event.expires_at,
    )
