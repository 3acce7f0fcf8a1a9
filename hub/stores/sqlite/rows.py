"""Rows as models: how instants, events, deliveries and attempts look in the database.

Every read gives one row, a JSON array of all: each row that SQLite hands over costs the thread a turn at the
interpreter's lock, which a busy event loop makes dear.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw
import orjson

from hub.models import Attempt, Cause, Delivery, Event, FeedEntry, Outcome
from hub.stores.milliseconds import instant, instant_or_none, milliseconds, milliseconds_or_none

Row = list[Any]
Values = Sequence[str | int | float | None] | Mapping[str, str | int | float | None]

_INLINE_BYTES: Final = 65_536

EVENT_COLUMNS: Final = (
    "seq, id, tenant, type, source, source_id, subject, time, data, content_type, data_base64, extensions,"
    " ordering_key, deliver_at, expires_at, traceparent, accepted_at, cancelled_at, fan_out_after"
)
EVENT_FIELDS: Final = tuple(EVENT_COLUMNS.split(", "))
EVENT_JSON: Final = (
    "json_array(events.seq, events.id, events.tenant, events.type, events.source, events.source_id, events.subject,"
    f" events.time, CASE WHEN octet_length(events.data) <= {_INLINE_BYTES} THEN events.data END, events.content_type,"
    " events.data_base64, json(events.extensions), events.ordering_key, events.deliver_at, events.expires_at,"
    " events.traceparent, events.accepted_at, events.cancelled_at, events.fan_out_after)"
)
DELIVERY_JSON: Final = (
    "json_array(deliveries.seq, deliveries.id, deliveries.tenant, events.id, deliveries.event_type,"
    " deliveries.subscription_id, deliveries.channel, deliveries.status, deliveries.reason, deliveries.attempt_count,"
    " deliveries.schedule_base,"
    " deliveries.token, deliveries.due_at, deliveries.created_at, deliveries.updated_at)"
)


def fetch(connection: apsw.Connection, query: str, values: Values = ()) -> list[Any]:
    """What `query` gives: a SELECT of one column `row`, JSON text, in its order."""
    whole = f"SELECT CAST('[' || coalesce(group_concat(row, ','), '') || ']' AS BLOB) FROM ({query})"
    rows: list[Any] = orjson.loads(connection.execute(whole, values).get)
    return rows


def event_row(seq: int, event: Event, *, fan_out: bool) -> tuple[str | int | None, ...]:
    """The event as `EVENT_COLUMNS`."""
    return (
        seq,
        event.id,
        event.tenant,
        event.type,
        event.source,
        event.source_id,
        event.subject,
        milliseconds(event.time),
        event.data.decode(),
        event.content_type,
        int(event.data_base64),
        orjson.dumps(event.extensions).decode() if event.extensions else None,
        event.ordering_key,
        milliseconds_or_none(event.deliver_at),
        milliseconds_or_none(event.expires_at),
        event.traceparent,
        milliseconds(event.accepted_at),
        milliseconds_or_none(event.cancelled_at),
        "" if fan_out else None,
    )


def event_from(connection: apsw.Connection, row: Row) -> Event:
    """The event of an `EVENT_JSON` row; data that is too big to travel inside JSON is read by itself."""
    fields = dict(zip(EVENT_FIELDS, row, strict=True))
    data = fields["data"]
    if data is None:
        data = connection.execute("SELECT data FROM events WHERE seq = ?", (fields["seq"],)).get
    fields["data"] = data.encode()
    fields["data_base64"] = bool(fields["data_base64"])
    fields["extensions"] = fields["extensions"] or {}
    fields["time"] = instant(fields["time"])
    fields["accepted_at"] = instant(fields["accepted_at"])
    for name in ("deliver_at", "expires_at", "cancelled_at"):
        fields[name] = instant_or_none(fields[name])
    return Event.model_validate(fields)


def delivery_from(row: Row) -> Delivery:
    """The delivery of a `DELIVERY_JSON` row."""
    _, id_, tenant, event_id, type_, subscription_id, channel, status, reason, count, base, token, *instants = row
    due, created, updated = instants
    return Delivery.model_validate(
        {
            "id": id_,
            "tenant": tenant,
            "event_id": event_id,
            "event_type": type_,
            "subscription_id": subscription_id,
            "channel": channel,
            "status": status,
            "reason": reason,
            "attempt_count": count,
            "schedule_base": base,
            "token": token,
            "next_attempt_at": instant_or_none(due),
            "created_at": instant(created),
            "updated_at": instant(updated),
        }
    )


def feed_row(entry: FeedEntry, now: int) -> tuple[str | int | None, ...]:
    return (
        entry.tenant,
        entry.kind,
        entry.data.decode(),
        entry.event_type,
        entry.event_id,
        entry.subscription_id,
        entry.status,
        now,
    )


def attempt_from(row: Row) -> Attempt:
    """The attempt of a row of number, cause, start, duration, outcome, status code, error, response body."""
    number, cause, started_at, duration_ms, outcome, status_code, error, response_body = row
    return Attempt(
        number=number,
        cause=Cause(cause),
        started_at=instant(started_at),
        duration_ms=duration_ms,
        outcome=Outcome(outcome),
        status_code=status_code,
        error=error,
        response_body=response_body,
    )
