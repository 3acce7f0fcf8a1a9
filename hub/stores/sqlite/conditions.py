"""Queries as SQL conditions."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Self

import orjson

from hub.models import Status
from hub.stores.base import SEARCHED, DeliveryQuery, EventQuery, Page, TextSearch
from hub.stores.milliseconds import milliseconds
from hub.stores.paging import position_of


class Condition:
    """A WHERE clause, and the values of its named parameters."""

    def __init__(self, tenant: str | None) -> None:
        """None: of all tenants."""
        self._parts: list[str] = []
        self.values: dict[str, str | int] = {}
        self.equal("tenant", tenant)

    def __str__(self) -> str:
        return " AND ".join(self._parts or ["true"])

    def add(self, part: str, **values: str | int) -> None:
        self._parts.append(part)
        self.values.update(values)

    def equal(self, column: str, value: str | None) -> None:
        if value is not None:
            self.add(f"{column} = :{column}", **{column: value})

    def one_of(self, column: str, wanted: Collection[str] | None) -> None:
        if wanted is None:
            return
        if len(wanted) == 1:
            # Equality, unlike IN, leaves the rows in the order of the index.
            self.equal(column, *wanted)
        else:
            self.add(f"{column} IN (SELECT value FROM json_each(:only))", only=orjson.dumps([*wanted]).decode())

    def none_of(self, column: str, unwanted: Collection[str]) -> None:
        if unwanted:
            self.add(f"{column} NOT IN (SELECT value FROM json_each(:but))", but=orjson.dumps([*unwanted]).decode())

    def matching(self, column: str, pattern: str | None) -> None:
        """Add what `EventQuery.type` means."""
        if pattern is None or pattern == "*":
            return
        if pattern.endswith(".*"):
            # "/" is the character after ".", so this range is every type with at least one more segment.
            self.add(f"{column} > :low AND {column} < :high", low=pattern[:-1], high=pattern[:-2] + "/")
        else:
            self.equal(column, pattern)

    def within(self, column: str, since: datetime | None, until: datetime | None) -> None:
        if since is not None:
            self.add(f"{column} >= :since", since=milliseconds(since))
        if until is not None:
            self.add(f"{column} < :until", until=milliseconds(until))

    def after(self, page: Page, column: str, key: str, kind: type) -> Self:
        """Add the page's cursor: newest first by `column`, then by `key`, whose values are of `kind`."""
        if page.cursor is not None:
            at, last = position_of(page.cursor, int, kind)
            self.add(f"({column}, {key}) < (:at, :last)", at=at, last=last)
        return self

    def down_to(self, end: tuple[int, int] | None, column: str, key: str) -> None:
        """Add what is not after this position, newest first."""
        if end is not None:
            self.add(f"({column}, {key}) >= (:end_at, :end_key)", end_at=end[0], end_key=end[1])

    def begins(self, column: str, prefix: str) -> str:
        """A part which holds where a text begins with this, whatever the case of its ASCII letters."""
        self.values["prefix"] = re.sub(r"([\\%_])", r"\\\1", prefix) + "%"
        return f"{column} LIKE :prefix ESCAPE '\\'"


# Which index gives the fewest rows is known here. SQLite's planner, without statistics, prefers one that avoids a sort.
def events_index(query: EventQuery) -> str:
    return "events_by_time" if query.subject is None else "events_by_subject"


def deliveries_index(query: DeliveryQuery) -> str:
    if query.event_id is not None:
        return "deliveries_by_event"
    if query.status is Status.SENDING:
        return "deliveries_leased"
    if query.status is Status.PENDING or query.status is Status.DEAD:
        return "deliveries_open"
    # Of several subscriptions the index has the rows in another order than that of time: all would have to be sorted.
    if query.subscription_ids is not None and len(query.subscription_ids) == 1:
        return "deliveries_by_subscription"
    return "deliveries_by_time"


_KNOWN_TO = {
    "deliveries_by_event": {"event_id"},
    "deliveries_leased": {"status"},
    "deliveries_open": {"status", "since", "until"},
    "deliveries_by_subscription": {"subscription_ids", "since", "until"},
    "deliveries_by_time": {"since", "until"},
}
"""The conditions that each index answers by itself. The others are looked at in the rows that it gives."""


def events_where(tenant: str | None, query: EventQuery) -> Condition:
    condition = Condition(tenant)
    condition.matching("type", query.type)
    condition.equal("subject", query.subject)
    condition.within("accepted_at", query.since, query.until)
    if query.search is not None:
        condition.add(_event_found(condition, query.search))
    return condition


def deliveries_where(tenant: str | None, query: DeliveryQuery) -> Condition:
    condition = Condition(tenant)
    if query.status is not None:
        # A literal, because SQLite uses a partial index only when it knows the value as it prepares the statement.
        condition.add(f"status = '{query.status.value}'")
    if query.event_id is not None:
        condition.add("event_seq = (SELECT seq FROM events WHERE id = :event_id)", event_id=query.event_id)
    condition.one_of("subscription_id", query.subscription_ids)
    condition.none_of("subscription_id", query.not_subscription_ids)
    condition.equal("channel", query.channel)
    condition.matching("event_type", query.type)
    condition.within("created_at", query.since, query.until)
    if query.search is not None:
        own = condition.begins("deliveries.id", query.search.prefix)
        event = _event_found(condition, query.search)
        condition.add(f"({own} OR EXISTS (SELECT 1 FROM events WHERE events.seq = deliveries.event_seq AND {event}))")
    return condition


def scanned_events(query: EventQuery) -> EventQuery:
    """What the index of a query gives, before anything is looked at in the rows themselves: the query itself where
    nothing is left to look at."""
    return replace(query, type=None, search=None)


def scanned_deliveries(query: DeliveryQuery) -> DeliveryQuery:
    """As `scanned_events`."""
    known = _KNOWN_TO[deliveries_index(query)]
    return DeliveryQuery(**{name: getattr(query, name) for name in known})


def scanned_tenant(tenant: str, index: str) -> str | None:
    """The tenant, where the index knows whose its rows are."""
    return None if index in {"deliveries_by_subscription", "deliveries_leased"} else tenant


def _event_found(condition: Condition, search: TextSearch) -> str:
    columns = [f"events.{column}" for column in ("id", "source_id", "subject")]
    members = [_member(f"'{_json_path(path)}'") for path in SEARCHED]
    begins = " OR ".join(condition.begins(text, search.prefix) for text in (*columns, *members))
    if not search.members:
        return f"({begins})"
    listed = [[type_, _json_path(path)] for type_, path in search.members]
    condition.values["members"] = orjson.dumps(listed).decode()
    of_type = condition.begins(_member("listed.value ->> 1"), search.prefix)
    return (
        f"({begins} OR EXISTS (SELECT 1 FROM json_each(:members) AS listed"
        f" WHERE listed.value ->> 0 = events.type AND {of_type}))"
    )


def _json_path(path: tuple[str, ...]) -> str:
    return "$" + "".join(f'."{name}"' for name in path)


def _member(path: str) -> str:
    """The text or the digits at a path of the data. `->` gives a number as it was written, however long it is."""
    return (
        f"CASE json_type(events.data, {path}) WHEN 'text' THEN events.data ->> ({path})"
        f" WHEN 'integer' THEN events.data -> ({path}) END"
    )
