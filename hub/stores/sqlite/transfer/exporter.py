"""Reads the database as documents, piece by piece."""

from collections.abc import Mapping, Sequence
from typing import Final

import apsw
import msgspec
import orjson

from hub.stores.base import Piece, Section
from hub.stores.documents import (
    Counters,
    DeliveryDocument,
    EventDocument,
    FeedDocument,
    IdempotencyDocument,
    RecordDocument,
    TaskDocument,
    encode,
)
from hub.stores.paging import cursor_of, position_of
from hub.stores.sqlite.feed import read_bounds
from hub.stores.sqlite.rows import ATTEMPT_MEMBERS, EVENT_JSON, FEED_MEMBERS, Row, event_members, fetch
from hub.stores.stored import StoredAttempt, StoredEvent, StoredFeedEntry

PIECE_BYTES: Final = 1_000_000
_EVENT_BYTES: Final = 300
_DELIVERY_BYTES: Final = 300
_ATTEMPT_BYTES: Final = 150
_DELIVERIES_AT_ONCE: Final = 500

_RECORDS: Final = """
    SELECT json_array(kind, tenant, id, version, doc) AS row FROM records
    WHERE (kind, tenant, id) > (?, ?, ?) ORDER BY kind, tenant, id LIMIT ?
"""
_CHANGES: Final = "SELECT json_array(id, doc) AS row FROM event_changes WHERE id > ? ORDER BY id LIMIT ?"
_KEYS: Final = """
    SELECT json_array(tenant, key, fingerprint, expires_at + ?, json(verdicts)) AS row FROM idempotency
    WHERE (tenant, key) > (?, ?) ORDER BY tenant, key LIMIT ?
"""
_TASKS: Final = "SELECT json_array(tenant, owner, doc, id) AS row FROM tasks WHERE id > ? ORDER BY id LIMIT ?"
_FEED: Final = f"""
    SELECT json_array(id, written_at, {FEED_MEMBERS}) AS row FROM feed WHERE id > ? ORDER BY id LIMIT ?
"""
_RECIPIENTS: Final = """(
    SELECT recipients FROM matches WHERE name = (
        SELECT match FROM fan_outs WHERE fan_outs.tenant = events.tenant AND fan_outs.event_seq = events.seq))"""
# Of each event: its seq, how big it is, and its first deliveries after a subscription, with how big each is.
_PLAN: Final = f"""
    SELECT json_array(seq, {_EVENT_BYTES} + octet_length(data) + coalesce(octet_length({_RECIPIENTS}), 0), json((
        SELECT json_group_array(json_array(seq, subscription_id, {_DELIVERY_BYTES} + (
            SELECT coalesce(sum({_ATTEMPT_BYTES} + coalesce(octet_length(error), 0)
                + coalesce(octet_length(response_body), 0)), 0) FROM attempts WHERE delivery_seq = sent.seq)))
        FROM (SELECT seq, subscription_id FROM deliveries WHERE event_seq = events.seq AND subscription_id > :after
            ORDER BY subscription_id LIMIT {_DELIVERIES_AT_ONCE} + 1) AS sent))) AS row
    FROM events WHERE {{where}} ORDER BY seq LIMIT :limit
"""
_EVENTS: Final = f"""
    SELECT json_array(fan_out_after, json({_RECIPIENTS}), {EVENT_JSON}) AS row FROM events
    WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
_DELIVERY_COLUMNS: Final = ", ".join(
    {"due_at": "due_at + iif(appointed, 0, ?)"}.get(name, name)
    for name in DeliveryDocument.__struct_fields__
    if name != "attempts"
)
_DELIVERIES: Final = f"""
    SELECT json_array(seq, {_DELIVERY_COLUMNS}) AS row
    FROM deliveries WHERE seq IN (SELECT value FROM json_each(?))
"""
_ATTEMPTS: Final = f"""
    SELECT json_array(delivery_seq, number, {ATTEMPT_MEMBERS}) AS row FROM attempts
    WHERE delivery_seq IN (SELECT value FROM json_each(?)) ORDER BY delivery_seq, number
"""


def read_piece(connection: apsw.Connection, section: Section, after: str, limit: int, ahead: int) -> Piece:
    """What waits is given by the time of day, which is `ahead` milliseconds ahead of the store's time."""
    match section:
        case Section.COUNTERS:
            return _counters(connection, after)
        case Section.RECORDS:
            return _records(connection, after, limit)
        case Section.EVENTS:
            return _events(connection, after, limit, ahead)
        case Section.EVENT_CHANGES:
            return _changes(connection, after, limit)
        case Section.IDEMPOTENCY:
            return _keys(connection, after, limit, ahead)
        case Section.TASKS:
            return _tasks(connection, after, limit)
        case Section.FEED:
            return _feed(connection, after, limit)


def _counters(connection: apsw.Connection, after: str) -> Piece:
    trimmed, last = read_bounds(connection)
    version = fetch(connection, "SELECT coalesce(max(version), 0) AS row FROM records")[0]
    return Piece([] if after else [encode(Counters(version, last, trimmed))], "all")


def _records(connection: apsw.Connection, after: str, limit: int) -> Piece:
    place = position_of(after, str, str, str) if after else ["", "", ""]
    rows = fetch(connection, _RECORDS, (*place, limit))
    return _piece([RecordDocument(*row) for row in rows], after, rows and rows[-1][:3])


def _changes(connection: apsw.Connection, after: str, limit: int) -> Piece:
    place = position_of(after, str) if after else [""]
    rows = fetch(connection, _CHANGES, (*place, limit))
    return _piece([msgspec.Raw(doc) for _, doc in rows], after, rows and rows[-1][:1])


def _keys(connection: apsw.Connection, after: str, limit: int, ahead: int) -> Piece:
    place = position_of(after, str, str) if after else ["", ""]
    rows = fetch(connection, _KEYS, (ahead, *place, limit))
    return _piece([IdempotencyDocument(*row) for row in rows], after, rows and rows[-1][:2])


def _tasks(connection: apsw.Connection, after: str, limit: int) -> Piece:
    place = position_of(after, str) if after else [""]
    rows = fetch(connection, _TASKS, (*place, limit))
    documents = [TaskDocument(tenant, owner, msgspec.Raw(doc)) for tenant, owner, doc, _ in rows]
    return _piece(documents, after, rows and rows[-1][3:])


def _feed(connection: apsw.Connection, after: str, limit: int) -> Piece:
    place = position_of(after, int) if after else [0]
    rows = fetch(connection, _FEED, (*place, limit))
    documents = [FeedDocument(id_, written_at, StoredFeedEntry(*members)) for id_, written_at, *members in rows]
    return _piece(documents, after, [document.id for document in documents[-1:]])


def _piece(documents: Sequence[object], after: str, last: Sequence[str | int]) -> Piece:
    return Piece(list(map(encode, documents)), cursor_of(*last) if documents else after, len(documents))


def _events(connection: apsw.Connection, after: str, limit: int, ahead: int) -> Piece:
    seq, subscription = position_of(after, int, str) if after else (0, "")
    values = {"seq": seq, "after": subscription, "limit": limit}
    if subscription:
        # The rest of an event has pieces of its own; the last of them ends where the event does.
        ((_, _, sent),) = fetch(connection, _PLAN.format(where="seq = :seq"), values)
        plan = _Plan()
        plan.add(seq, 0, sent)
        return plan.piece(connection, ahead, goes_on=True)
    plan = _Plan()
    for event in fetch(connection, _PLAN.format(where="seq > :seq"), values):
        if not plan.add(*event):
            break
    return plan.piece(connection, ahead, goes_on=False) if plan.events else Piece([], after)


class _Plan:
    """Which deliveries of which events one piece takes. An event is cut only when it does not fit into one piece."""

    def __init__(self) -> None:
        self.events: dict[int, list[int]] = {}
        self._left = PIECE_BYTES
        self._end: tuple[int, str] = (0, "")

    def add(self, seq: int, size: int, sent: Sequence[tuple[int, str, int]]) -> bool:
        """Take what fits of an event, and tell whether there is room for another one."""
        if self.events and size > self._left:
            return False
        self._left -= size
        taken = self.events[seq] = []
        for delivery, _, weight in sent[:_DELIVERIES_AT_ONCE]:
            if taken and weight > self._left:
                break
            self._left -= weight
            taken.append(delivery)
        cut = len(taken) < len(sent)
        self._end = (seq, sent[len(taken) - 1][1] if cut else "")
        return not cut and self._left > 0

    def piece(self, connection: apsw.Connection, ahead: int, *, goes_on: bool) -> Piece:
        found = fetch(connection, _EVENTS, (orjson.dumps(list(self.events)).decode(),))
        sent = _deliveries(connection, [seq for taken in self.events.values() for seq in taken], ahead)
        documents = []
        for fan_out_after, match, row in found:
            seq, *_ = row
            document = _event(connection, row, goes_on=goes_on)
            document.fan_out_after, document.match = fan_out_after, match
            document.deliveries = [sent[delivery] for delivery in self.events[seq]]
            documents.append(encode(document))
        return Piece(documents, cursor_of(*self._end), 0 if goes_on else len(documents))


def _event(connection: apsw.Connection, row: Row, *, goes_on: bool) -> EventDocument:
    members, cancelled_at = event_members(connection, row)
    event = StoredEvent(*members)
    if goes_on:
        event.data = ""
    return EventDocument(event, goes_on, cancelled_at)


def _deliveries(connection: apsw.Connection, seqs: Sequence[int], ahead: int) -> Mapping[int, DeliveryDocument]:
    """By seq, with their attempts."""
    wanted = (orjson.dumps(seqs).decode(),)
    found = {seq: DeliveryDocument(*fields) for seq, *fields in fetch(connection, _DELIVERIES, (ahead, *wanted))}
    for seq, number, *members in fetch(connection, _ATTEMPTS, wanted):
        found[seq].attempts[number] = StoredAttempt(*members)
    return found
