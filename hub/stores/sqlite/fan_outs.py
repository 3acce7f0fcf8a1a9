"""The fan-outs of the SQLite store: which events have one, and for whom they are.

How far a fan-out is stands with its event, in `fan_out_after`.
"""

from typing import Final

import apsw
import orjson

from hub.stores.base import FanOut, Match
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.rows import EVENT_JSON, event_from, event_id, fetch
from hub.stores.unreadable import READ_ERRORS, Unreadable

_TENANTS: Final = """
    WITH RECURSIVE tenants(name) AS (
        SELECT min(tenant) FROM fan_outs
        UNION ALL SELECT (SELECT min(tenant) FROM fan_outs WHERE tenant > name) FROM tenants WHERE name IS NOT NULL)
    SELECT json_quote(name) AS row FROM tenants WHERE name IS NOT NULL ORDER BY name <= ?, name
"""
"""From one to the next in the index, and not through all fan-outs."""
_OF_TENANT: Final = f"""
    SELECT json_array(events.fan_out_after, fan_outs.match, {EVENT_JSON}) AS row
    FROM fan_outs JOIN events ON events.seq = fan_outs.event_seq
    WHERE fan_outs.tenant = ? AND fan_outs.event_seq > ? ORDER BY fan_outs.event_seq LIMIT ?
"""


class NewFanOuts:
    """Collects the fan-outs that one transaction begins. A match that several of them share is written once."""

    def __init__(self) -> None:
        self._names: dict[Match, str] = {}
        self._rows: list[tuple[str, int, str | None]] = []

    def add(self, tenant: str, event_id: str, seq: int, match: Match | None) -> None:
        # The id of the first event that it is of is a name that no other match ever gets.
        name = None if match is None else self._names.setdefault(match, event_id)
        self._rows.append((tenant, seq, name))

    def write(self, transaction: Transaction) -> None:
        matches = [(name, orjson.dumps(match.recipients).decode()) for match, name in self._names.items()]
        transaction.insert("matches", "name, recipients", matches)
        transaction.insert("fan_outs", "tenant, event_seq, match", self._rows)


def end_fan_out(transaction: Transaction, tenant: str, seq: int) -> None:
    """Forget the fan-out of the event at `seq`, if there is one, and its match when no other event needs that."""
    place = (tenant, seq)
    for name in transaction.fetch(
        "SELECT json_quote(match) AS row FROM fan_outs WHERE tenant = ? AND event_seq = ?", place
    ):
        transaction.change("DELETE FROM fan_outs WHERE tenant = ? AND event_seq = ?", place)
        transaction.change(
            "DELETE FROM matches WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM fan_outs WHERE match = ?1)", (name,)
        )


def read_fan_outs(connection: apsw.Connection, limit: int, after: str, unreadable: Unreadable) -> list[FanOut]:
    """See `Intake.fan_outs`."""
    for tenant in fetch(connection, _TENANTS, (after,)):
        if found := _fan_outs_of(connection, tenant, limit, unreadable):
            return found
    return []


def _fan_outs_of(connection: apsw.Connection, tenant: str, limit: int, unreadable: Unreadable) -> list[FanOut]:
    found: list[FanOut] = []
    seq = 0
    # One that cannot be read stays where it is, and hides none behind it.
    while len(found) < limit:
        rows = fetch(connection, _OF_TENANT, (tenant, seq, limit))
        for place, match, row in rows:
            try:
                found.append(FanOut(event_from(connection, row), place, match))
            except READ_ERRORS as error:
                unreadable.note("event", event_id(row), error)
        if len(rows) < limit:
            break
        seq = rows[-1][2][0]
    return found[:limit]


def read_match(connection: apsw.Connection, name: str) -> Match | None:
    """See `Intake.match`."""
    found = fetch(connection, "SELECT recipients AS row FROM matches WHERE name = ?", (name,))
    return Match(tuple((id_, channel) for id_, channel in found[0])) if found else None
