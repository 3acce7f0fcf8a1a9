"""Reading back what happened, from the SQLite store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import apsw

from hub.models import Attempt, Delivery, Event, Status
from hub.stores.base import LIST_STEP, SEARCH_STEP, Archive, DeliveryQuery, EventQuery, Listing, Page, Stats
from hub.stores.milliseconds import milliseconds
from hub.stores.paging import cursor_of, fitting, searched
from hub.stores.sqlite.conditions import (
    Condition,
    deliveries_index,
    deliveries_where,
    events_index,
    events_where,
    scanned_deliveries,
    scanned_events,
    scanned_tenant,
)
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.rows import (
    ACCEPTED_AT,
    ATTEMPT_MEMBERS,
    CREATED_AT,
    DELIVERY_ID,
    DELIVERY_JSON,
    EVENT_JSON,
    Row,
    delivery_from,
    event_from,
    event_id,
    fetch,
)
from hub.stores.sqlite.stats import read_stats
from hub.stores.stored import attempts
from hub.stores.unreadable import READ_ERRORS, Unreadable

# The page is chosen first, so that only its rows are joined and read in full.
_EVENTS: Final = f"""
    SELECT {EVENT_JSON} AS row FROM
        (SELECT seq FROM events INDEXED BY {{index}} WHERE {{where}}
            ORDER BY accepted_at DESC, seq DESC LIMIT {{limit}}) AS page
    CROSS JOIN events ON events.seq = page.seq ORDER BY events.accepted_at DESC, events.seq DESC
"""
_DELIVERIES: Final = f"""
    SELECT {DELIVERY_JSON} AS row FROM
        (SELECT seq FROM deliveries INDEXED BY {{index}} WHERE {{where}}
            ORDER BY created_at DESC, seq DESC LIMIT {{limit}}) AS page
    CROSS JOIN deliveries ON deliveries.seq = page.seq CROSS JOIN events ON events.seq = deliveries.event_seq
    ORDER BY deliveries.created_at DESC, deliveries.seq DESC
"""
_ATTEMPTS: Final = f"""
    SELECT json_array(number, {ATTEMPT_MEMBERS}) AS row FROM attempts
    WHERE delivery_seq = (SELECT seq FROM deliveries WHERE tenant = ? AND id = ?) ORDER BY number
"""
_COUNTS: Final = """
    SELECT json_array(subscription_id, status, count(*)) AS row FROM deliveries INDEXED BY {index} WHERE {where}
    GROUP BY subscription_id, status
"""
_STATUSES: Final = frozenset(Status)
_SIZES: Final = """
    SELECT octet_length(data) AS row FROM events INDEXED BY {index} WHERE {where}
    ORDER BY accepted_at DESC, seq DESC LIMIT {limit}
"""
_STEP_END: Final = """
    SELECT json_array({at}, seq) AS row FROM {table} INDEXED BY {index} WHERE {where}
    ORDER BY {at} DESC, seq DESC LIMIT 1 OFFSET {last}
"""


def _event(connection: apsw.Connection, tenant: str, id_: str, unreadable: Unreadable) -> Event | None:
    rows = fetch(connection, f"SELECT {EVENT_JSON} AS row FROM events WHERE tenant = ? AND id = ?", (tenant, id_))
    return next(_readable_events(connection, rows, unreadable), None)


def _readable_events(connection: apsw.Connection, rows: Iterable[Row], unreadable: Unreadable) -> Iterator[Event]:
    for row in rows:
        try:
            yield event_from(connection, row)
        except READ_ERRORS as error:
            unreadable.note("event", event_id(row), error)


def _readable_deliveries(rows: Iterable[Row], ahead: int, unreadable: Unreadable) -> Iterator[Delivery]:
    for row in rows:
        try:
            yield delivery_from(row, ahead)
        except READ_ERRORS as error:
            unreadable.note("delivery", str(row[DELIVERY_ID]), error)


def _following(rows: Sequence[Row], page: Page, at: int) -> str | None:
    """The cursor after a page of rows, of which one more was read. It is that of a row: one that cannot be read ends no
    list."""
    kept = rows[: page.limit]
    return cursor_of(kept[-1][at], kept[-1][0]) if len(rows) > len(kept) > 0 else None


def _events(
    connection: apsw.Connection, tenant: str, query: EventQuery, page: Page, unreadable: Unreadable
) -> Listing[Event]:
    index, where = events_index(query), events_where(tenant, query).after(page, "accepted_at", "seq", int)
    end, scanned = None, scanned_events(query)
    if scanned != query:
        looked_at = events_where(tenant, scanned).after(page, "accepted_at", "seq", int)
        end = _step_end(connection, "events", "accepted_at", index, looked_at, _step(query))
        where.down_to(end, "accepted_at", "seq")
    sizes = fetch(connection, _SIZES.format(index=index, where=where, limit=page.limit), where.values)
    page = fitting(sizes, page)
    statement = _EVENTS.format(index=index, where=where, limit=page.limit + 1)
    rows = fetch(connection, statement, where.values)
    found = tuple(_readable_events(connection, rows[: page.limit], unreadable))
    return searched(Listing(found, _following(rows, page, ACCEPTED_AT)), end)


def _delivery(
    connection: apsw.Connection, ahead: int, tenant: str, delivery_id: str, unreadable: Unreadable
) -> Delivery | None:
    rows = fetch(
        connection,
        f"SELECT {DELIVERY_JSON} AS row FROM deliveries CROSS JOIN events ON events.seq = deliveries.event_seq"
        " WHERE deliveries.tenant = ? AND deliveries.id = ?",
        (tenant, delivery_id),
    )
    return next(_readable_deliveries(rows, ahead, unreadable), None)


def _deliveries(
    connection: apsw.Connection, ahead: int, tenant: str, query: DeliveryQuery, page: Page, unreadable: Unreadable
) -> Listing[Delivery]:
    index, where = deliveries_index(query), deliveries_where(tenant, query).after(page, "created_at", "seq", int)
    end, scanned = None, scanned_deliveries(query)
    if scanned != query:
        looked_at = deliveries_where(scanned_tenant(tenant, index), scanned).after(page, "created_at", "seq", int)
        end = _step_end(connection, "deliveries", "created_at", index, looked_at, _step(query))
        where.down_to(end, "created_at", "seq")
    statement = _DELIVERIES.format(index=index, where=where, limit=page.limit + 1)
    rows = fetch(connection, statement, where.values)
    found = tuple(_readable_deliveries(rows[: page.limit], ahead, unreadable))
    return searched(Listing(found, _following(rows, page, CREATED_AT)), end)


def _step(query: EventQuery | DeliveryQuery) -> int:
    return LIST_STEP if query.search is None else SEARCH_STEP


def _step_end(
    connection: apsw.Connection, table: str, at: str, index: str, scanned: Condition, step: int
) -> tuple[int, int] | None:
    """The position of the last row that one call looks at; None when it reaches the end of the list."""
    statement = _STEP_END.format(table=table, at=at, index=index, where=scanned, last=step - 1)
    rows = fetch(connection, statement, scanned.values)
    return tuple(rows[0]) if rows else None


def _attempts(connection: apsw.Connection, tenant: str, delivery_id: str, unreadable: Unreadable) -> list[Attempt]:
    found = []
    for number, *members in fetch(connection, _ATTEMPTS, (tenant, delivery_id)):
        try:
            found.append(attempts.restored(*members, number=number))
        except READ_ERRORS as error:
            unreadable.note("attempt", f"{delivery_id}:{number}", error)
    return found


def _counts(connection: apsw.Connection, tenant: str, query: DeliveryQuery) -> dict[str, dict[Status, int]]:
    where = deliveries_where(tenant, query)
    statement = _COUNTS.format(index=deliveries_index(query), where=where)
    counts: dict[str, dict[Status, int]] = {}
    for subscription_id, status, count in fetch(connection, statement, where.values):
        # A status that only a newer version knows is in no answer of this one.
        if status in _STATUSES:
            counts.setdefault(subscription_id, {})[Status(status)] = count
    return counts


class SqliteArchive(Archive):
    def __init__(self, readers: Readers, timeline: Timeline, unreadable: Unreadable) -> None:
        self._readers = readers
        self._timeline = timeline
        self._unreadable = unreadable

    async def event(self, tenant: str, event_id: str) -> Event | None:
        return await self._readers.run(_event, tenant, event_id, self._unreadable)

    async def events(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]:
        return await self._readers.run(_events, tenant, query, page, self._unreadable)

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        return await self._readers.run(_delivery, self._timeline.ahead(), tenant, delivery_id, self._unreadable)

    async def deliveries(self, tenant: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]:
        ahead = self._timeline.ahead()
        return await self._readers.run(_deliveries, ahead, tenant, query, page, self._unreadable)

    async def attempts(self, tenant: str, delivery_id: str) -> Sequence[Attempt]:
        return await self._readers.run(_attempts, tenant, delivery_id, self._unreadable)

    async def counts(self, tenant: str, query: DeliveryQuery) -> Mapping[str, Mapping[Status, int]]:
        return await self._readers.run(_counts, tenant, query)

    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats:
        return await self._readers.run(read_stats, tenant, milliseconds(since), channel)
