"""Reading back what happened, from the SQLite store."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import apsw

from hub.models import Attempt, Delivery, Event, Status
from hub.stores.base import SEARCH_STEP, Archive, DeliveryQuery, EventQuery, Listing, Page, Stats
from hub.stores.milliseconds import milliseconds
from hub.stores.paging import cursor_of, listing, searched
from hub.stores.sqlite.conditions import (
    Condition,
    deliveries_index,
    deliveries_where,
    events_index,
    events_where,
    scanned_deliveries,
    scanned_events,
)
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.rows import ATTEMPT_MEMBERS, DELIVERY_JSON, EVENT_JSON, delivery_from, event_from, fetch
from hub.stores.sqlite.stats import read_stats
from hub.stores.stored import attempts

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
_STEP_END: Final = f"""
    SELECT json_array({{at}}, seq) AS row FROM {{table}} INDEXED BY {{index}} WHERE {{where}}
    ORDER BY {{at}} DESC, seq DESC LIMIT 1 OFFSET {SEARCH_STEP - 1}
"""


def _event(connection: apsw.Connection, tenant: str, event_id: str) -> Event | None:
    rows = fetch(connection, f"SELECT {EVENT_JSON} AS row FROM events WHERE tenant = ? AND id = ?", (tenant, event_id))
    return event_from(connection, rows[0]) if rows else None


def _events(connection: apsw.Connection, tenant: str, query: EventQuery, page: Page) -> Listing[Event]:
    where = events_where(tenant, query).after(page, "accepted_at", "seq", int)
    end = None
    if query.search is not None:
        scanned = events_where(tenant, scanned_events(query)).after(page, "accepted_at", "seq", int)
        end = _step_end(connection, "events", "accepted_at", events_index(query), scanned)
        where.down_to(end, "accepted_at", "seq")
    statement = _EVENTS.format(index=events_index(query), where=where, limit=page.limit + 1)
    rows = fetch(connection, statement, where.values)
    found = [event_from(connection, row) for row in rows]
    seqs = {event.id: seq for event, (seq, *_) in zip(found, rows, strict=True)}
    page_found = listing(found, page, lambda event: cursor_of(milliseconds(event.accepted_at), seqs[event.id]))
    return searched(page_found, end)


def _delivery(connection: apsw.Connection, ahead: int, tenant: str, delivery_id: str) -> Delivery | None:
    rows = fetch(
        connection,
        f"SELECT {DELIVERY_JSON} AS row FROM deliveries CROSS JOIN events ON events.seq = deliveries.event_seq"
        " WHERE deliveries.tenant = ? AND deliveries.id = ?",
        (tenant, delivery_id),
    )
    return delivery_from(rows[0], ahead) if rows else None


def _deliveries(
    connection: apsw.Connection, ahead: int, tenant: str, query: DeliveryQuery, page: Page
) -> Listing[Delivery]:
    where = deliveries_where(tenant, query).after(page, "created_at", "seq", int)
    end = None
    if query.search is not None:
        scanned = deliveries_where(tenant, scanned_deliveries(query)).after(page, "created_at", "seq", int)
        end = _step_end(connection, "deliveries", "created_at", deliveries_index(query), scanned)
        where.down_to(end, "created_at", "seq")
    statement = _DELIVERIES.format(index=deliveries_index(query), where=where, limit=page.limit + 1)
    rows = fetch(connection, statement, where.values)
    found = [delivery_from(row, ahead) for row in rows]
    seqs = {delivery.id: seq for delivery, (seq, *_) in zip(found, rows, strict=True)}
    page_found = listing(found, page, lambda delivery: cursor_of(milliseconds(delivery.created_at), seqs[delivery.id]))
    return searched(page_found, end)


def _step_end(
    connection: apsw.Connection, table: str, at: str, index: str, scanned: Condition
) -> tuple[int, int] | None:
    """The position of the last row that this step of a search looks at; None when it reaches the end of the list."""
    rows = fetch(connection, _STEP_END.format(table=table, at=at, index=index, where=scanned), scanned.values)
    return tuple(rows[0]) if rows else None


def _attempts(connection: apsw.Connection, tenant: str, delivery_id: str) -> list[Attempt]:
    rows = fetch(connection, _ATTEMPTS, (tenant, delivery_id))
    return [attempts.restored(*members, number=number) for number, *members in rows]


def _counts(connection: apsw.Connection, tenant: str, query: DeliveryQuery) -> dict[str, dict[Status, int]]:
    where = deliveries_where(tenant, query)
    statement = _COUNTS.format(index=deliveries_index(query), where=where)
    counts: dict[str, dict[Status, int]] = {}
    for subscription_id, status, count in fetch(connection, statement, where.values):
        counts.setdefault(subscription_id, {})[Status(status)] = count
    return counts


class SqliteArchive(Archive):
    def __init__(self, readers: Readers, timeline: Timeline) -> None:
        self._readers = readers
        self._timeline = timeline

    async def event(self, tenant: str, event_id: str) -> Event | None:
        return await self._readers.run(_event, tenant, event_id)

    async def events(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]:
        return await self._readers.run(_events, tenant, query, page)

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        return await self._readers.run(_delivery, self._timeline.ahead(), tenant, delivery_id)

    async def deliveries(self, tenant: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]:
        return await self._readers.run(_deliveries, self._timeline.ahead(), tenant, query, page)

    async def attempts(self, tenant: str, delivery_id: str) -> Sequence[Attempt]:
        return await self._readers.run(_attempts, tenant, delivery_id)

    async def counts(self, tenant: str, query: DeliveryQuery) -> Mapping[str, Mapping[Status, int]]:
        return await self._readers.run(_counts, tenant, query)

    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats:
        return await self._readers.run(read_stats, tenant, milliseconds(since), channel)
