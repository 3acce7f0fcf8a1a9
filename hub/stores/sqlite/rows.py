"""Rows as models: the columns of events, attempts and feed entries, and what a read gives of events and deliveries.

Every read gives one row, a JSON array of all rows: each row that SQLite hands over makes the thread take the
interpreter's lock once more, and a busy event loop makes that expensive.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw
import orjson

from hub.models import Delivery, Event
from hub.stores.milliseconds import instant_or_none
from hub.stores.stored import attempts, events, feed_entries

Row = list[Any]
Cells = Sequence[str | int | float | None]
"""A row as it is written."""
Values = Cells | Mapping[str, str | int | float | None]

_INLINE_BYTES: Final = 65_536
"""Larger data would be copied several times on its way through SQLite's JSON functions."""
_EXTENSIONS: Final = events.fields.index("extensions")
_DATA: Final = events.fields.index("data")

EVENT_COLUMNS: Final = ", ".join(("seq", "cancelled_at", "fan_out_after", *events.fields))
ATTEMPT_MEMBERS: Final = ", ".join(attempts.fields)
ATTEMPT_COLUMNS: Final = f"delivery_seq, number, tenant, channel, {ATTEMPT_MEMBERS}"
FEED_MEMBERS: Final = ", ".join(feed_entries.fields)

_EVENT_READ: Final = {
    "data": f"CASE WHEN octet_length(events.data) <= {_INLINE_BYTES} THEN events.data ELSE '' END",
    "data_base64": "json(iif(events.data_base64, 'true', 'false'))",
    # Text that is not JSON would fail the statement, and with it every other row; as text it fails this event alone.
    "extensions": (
        "json(iif(events.extensions IS NULL, json_object(),"
        " iif(json_valid(events.extensions), events.extensions, json_quote(events.extensions))))"
    ),
}
_DELIVERY_READ: Final = {"event_id": "events.id", "next_attempt_at": "deliveries.due_at"}
_EVENT_MEMBERS: Final = ", ".join(_EVENT_READ.get(name, f"events.{name}") for name in events.fields)
_DELIVERY_MEMBERS: Final = ", ".join(_DELIVERY_READ.get(name, f"deliveries.{name}") for name in Delivery.model_fields)
EVENT_JSON: Final = f"json_array(events.seq, events.cancelled_at, {_EVENT_MEMBERS})"
DELIVERY_JSON: Final = f"json_array(deliveries.seq, deliveries.appointed, {_DELIVERY_MEMBERS})"
"""`deliveries` joined with `events`."""
_EVENT_ID: Final = 2 + events.fields.index("id")
ACCEPTED_AT: Final = 2 + events.fields.index("accepted_at")
"""Where an `EVENT_JSON` row has its instant in milliseconds."""
CREATED_AT: Final = 2 + [*Delivery.model_fields].index("created_at")
"""Where a `DELIVERY_JSON` row has its instant."""
DELIVERY_ID: Final = 2 + [*Delivery.model_fields].index("id")


def fetch(connection: apsw.Connection, query: str, values: Values = ()) -> list[Any]:
    """What `query` gives: a SELECT of one column `row`, JSON text, in its order."""
    whole = f"SELECT CAST('[' || coalesce(group_concat(row, ','), '') || ']' AS BLOB) FROM ({query})"
    rows: list[Any] = orjson.loads(connection.execute(whole, values).get)
    return rows


def event_row(seq: int, members: Sequence[Any], cancelled_at: int | None, fan_out_after: str | None) -> Cells:
    """The members of a `StoredEvent` as `EVENT_COLUMNS`."""
    extensions = members[_EXTENSIONS]
    kept = orjson.dumps(extensions).decode() if extensions else None
    return (seq, cancelled_at, fan_out_after, *members[:_EXTENSIONS], kept, *members[_EXTENSIONS + 1 :])


def event_members(connection: apsw.Connection, row: Row) -> tuple[list[Any], int | None]:
    """The members of the `StoredEvent` of an `EVENT_JSON` row, and when it was cancelled.

    Data that is too big to travel inside JSON is read by itself.
    """
    seq, cancelled_at, *members = row
    if not members[_DATA]:
        members[_DATA] = connection.execute("SELECT data FROM events WHERE seq = ?", (seq,)).get
    return members, cancelled_at


def event_id(row: Row) -> str:
    """The id of the event of an `EVENT_JSON` row."""
    return str(row[_EVENT_ID])


def event_from(connection: apsw.Connection, row: Row) -> Event:
    """The event of an `EVENT_JSON` row. Raises `READ_ERRORS`."""
    members, cancelled_at = event_members(connection, row)
    return events.restored(*members, cancelled_at=instant_or_none(cancelled_at))


def delivery_from(row: Row, ahead: int) -> Delivery:
    """The delivery of a `DELIVERY_JSON` row; the time of day is `ahead` milliseconds ahead of the store's time. Raises
    `READ_ERRORS`."""
    _, appointed, *values = row
    members = dict(zip(Delivery.model_fields, values, strict=True))
    if members["next_attempt_at"] is not None and not appointed:
        members["next_attempt_at"] += ahead
    for name in ("next_attempt_at", "created_at", "updated_at"):
        members[name] = instant_or_none(members[name])
    return Delivery.model_validate(members)
