"""Pending deliveries in the SQLite store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import apsw
import orjson

from hub.clock import Clock
from hub.models import Cause, Delivery
from hub.stores.base import Claim, ClaimRequest, ClaimResult, LaneClass, Result, WriteOutcome
from hub.stores.milliseconds import instant, milliseconds
from hub.stores.process import GatedQueue
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.finishing import finish
from hub.stores.sqlite.rows import (
    DELIVERY_ID,
    DELIVERY_JSON,
    EVENT_JSON,
    Row,
    delivery_from,
    event_from,
    fetch,
)
from hub.stores.unreadable import FOREIGN_EVENT, READ_ERRORS, placeholder

_LOOKED_AT: Final = 500
"""Among how many deliveries of a lane it is looked for those that need no attempt."""
_RECLAIM_LEASE: Final = timedelta(minutes=1)
"""Long enough for the caller to finish what it took over."""
_RENEWED_AT_ONCE: Final = 500


def _first_due(lane: str, *, appointed: bool) -> str:
    """When the first delivery of a lane is due, by the store's time. With `appointed` also by the time of day, which is
    :ahead of it."""
    # Each part reads the first entry of the index `deliveries_due` for a lane and class; one condition for all would
    # read all. Nothing that is appointed was tried before.
    first = f"FROM deliveries WHERE status = 'pending' AND subscription_id = {lane} AND class ="
    parts = [f"SELECT min(due_at) AS at {first} {one:d} AND appointed = 0" for one in LaneClass]
    if appointed:
        parts.append(f"SELECT min(due_at) - :ahead {first} {LaneClass.LIVE:d} AND appointed = 1")
    return f"(SELECT min(at) FROM ({' UNION ALL '.join(parts)}))"


def _next_due(*, appointed: bool) -> str:
    first = _first_due("(want.value ->> 0)", appointed=appointed)
    return f"SELECT json_array(want.value ->> 0, {first}) AS row FROM json_each(:wants) AS want"


# The index is asked for one lane after the other, so the cost grows with lanes, not with deliveries.
_DUE: Final = f"""
    WITH RECURSIVE lanes (id) AS (
        SELECT min(subscription_id) FROM deliveries WHERE status = 'pending'
        UNION ALL
        SELECT (SELECT min(subscription_id) FROM deliveries WHERE status = 'pending' AND subscription_id > lanes.id)
        FROM lanes WHERE lanes.id IS NOT NULL)
    SELECT json_array(id, {_first_due("lanes.id", appointed=True)}) AS row FROM lanes WHERE id IS NOT NULL
"""
_DUE_OF: Final = """
    SELECT * FROM (SELECT seq, {rank} AS rank, due_at - {ahead} AS due FROM deliveries
    WHERE status = 'pending' AND subscription_id = want.value ->> 0 AND class = {number} AND appointed = {appointed}
        AND due_at <= :now + {ahead}
    ORDER BY due_at, seq LIMIT :limit)
"""


def _due_of(number: LaneClass, *, appointed: bool = False) -> str:
    """The due deliveries of one class of a lane; the class that goes first has the rank 0."""
    rank = f"({number:d} <> want.value ->> 2) * {number + 1}"
    return _DUE_OF.format(rank=rank, number=int(number), appointed=int(appointed), ahead=":ahead" if appointed else "0")


def _pick(*, appointed: bool) -> str:
    """Which deliveries to claim; each of :wants is [lane, limit, class that goes first, end of the lease]."""
    parts = [*map(_due_of, LaneClass)]
    if appointed:
        parts.append(_due_of(LaneClass.LIVE, appointed=True))
    return f"""
    SELECT json_array(picked.value, want.value ->> 3) AS row
    FROM json_each(:wants) AS want, json_each((
        SELECT json_group_array(seq) FROM (
            SELECT seq FROM ({" UNION ALL ".join(parts)})
            ORDER BY rank, due, seq LIMIT :limit))) AS picked
    WHERE picked.key < want.value ->> 1
    ORDER BY want.key, picked.key
"""


_ANY_APPOINTED: Final = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE status = 'pending' AND appointed = 1) AS row"
# Most hubs have none, and then each lane is spared two looks.
_PICK: Final = (_pick(appointed=False), _pick(appointed=True))
_NEXT_DUE: Final = (_next_due(appointed=False), _next_due(appointed=True))
# What needs no attempt among the deliveries of a lane that are due, as far as it is looked for.
_LEAVING: Final = f"""
    SELECT json_array(due.seq, :until) AS row FROM (
        SELECT seq, event_seq FROM deliveries
        WHERE status = 'pending' AND subscription_id = :lane AND class IN (SELECT value FROM json_each(:classes))
            AND appointed IN (0, 1) AND due_at <= :now
        LIMIT {_LOOKED_AT}) AS due
    CROSS JOIN events ON events.seq = due.event_seq AND (cancelled_at IS NOT NULL OR expires_at <= :wall)
"""
_CLAIMED: Final = f"""
    SELECT json_array({DELIVERY_JSON}, {EVENT_JSON}, deliveries.cause) AS row
    FROM json_each(?) AS picked CROSS JOIN deliveries ON deliveries.seq = picked.value
    JOIN events ON events.seq = deliveries.event_seq
    ORDER BY picked.key
"""
_LEASED: Final = (
    "SELECT seq AS row FROM deliveries WHERE status = 'sending' AND lease_until <= ? ORDER BY lease_until LIMIT ?"
)
_EXPIRED: Final = f"""
    SELECT {DELIVERY_JSON} AS row FROM deliveries CROSS JOIN events ON events.seq = deliveries.event_seq
    WHERE deliveries.status = 'pending' AND deliveries.expires_at <= ? ORDER BY deliveries.expires_at LIMIT ?
"""
_UNDER_WAY: Final = "SELECT json_array(subscription_id, id, token) AS row FROM deliveries WHERE status = 'sending'"


def _claims(transaction: Transaction, seqs: Sequence[int]) -> list[Claim]:
    rows: list[Any] = transaction.fetch(_CLAIMED, (orjson.dumps(seqs).decode(),))
    claims = []
    for delivery_row, event_row, cause in rows:
        try:
            # Nothing that is under way waits, so no instant of the store's time is in it.
            delivery = delivery_from(delivery_row, ahead=0)
            claims.append(_claim_from(transaction.connection, delivery, event_row, cause))
        except READ_ERRORS as error:
            transaction.unreadable.note("delivery", str(delivery_row[DELIVERY_ID]), error)
    return claims


def _claim_from(connection: apsw.Connection, delivery: Delivery, event_row: Row, cause: str) -> Claim:
    try:
        return Claim(delivery, event_from(connection, event_row), Cause(cause), delivery.updated_at)
    except READ_ERRORS:
        lost = placeholder(delivery.event_id, delivery.tenant, delivery.event_type, delivery.created_at)
        return Claim(delivery, lost, Cause(cause), delivery.updated_at, damage=FOREIGN_EVENT)


Claiming = tuple[Sequence[ClaimRequest], Mapping[str, float]]


def _claim(transaction: Transaction, claimings: Sequence[Claiming]) -> list[ClaimResult]:
    (appointed,) = transaction.fetch(_ANY_APPOINTED)
    return [_claim_one(transaction, *claiming, appointed=appointed) for claiming in claimings]


def _claim_one(
    transaction: Transaction, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float], *, appointed: int
) -> ClaimResult:
    until = {want.lane: transaction.now + int(lease_seconds[want.lane] * 1000) for want in wants}
    given = orjson.dumps([(want.lane, want.limit, want.first, until[want.lane]) for want in wants]).decode()
    limit = max((want.limit for want in wants), default=0)
    now, ahead = transaction.now, transaction.ahead
    values: dict[str, str | int] = {"wants": given, "now": now, "ahead": ahead, "limit": limit}
    claims = _lease(transaction, transaction.fetch(_PICK[appointed], values))
    at = instant(transaction.wall)
    leaving = {claim.delivery.lane for claim in claims if not claim.needs_attempt(at)}
    # Where there is no rate, the next claim takes them as soon as these have ended.
    for want in wants:
        if want.policy.per_second is not None and want.lane in leaving:
            claims += _lease(transaction, _leaving(transaction, want.lane, until[want.lane]))
    next_due: Any = transaction.fetch(_NEXT_DUE[appointed], {"wants": given, "ahead": ahead})
    return ClaimResult(tuple(claims), {lane: instant(at + ahead) for lane, at in next_due if at is not None})


def _leaving(transaction: Transaction, lane: str, until: int) -> list[Any]:
    classes = orjson.dumps([*LaneClass]).decode()
    values: dict[str, str | int] = {
        "lane": lane,
        "until": until,
        "classes": classes,
        "now": transaction.now,
        "wall": transaction.wall,
    }
    return transaction.fetch(_LEAVING, values)


def _lease(transaction: Transaction, picked: Sequence[Any]) -> list[Claim]:
    """The claims of what was picked: seq and end of the lease of each."""
    if not picked:
        return []
    transaction.change_each(
        "UPDATE OR FAIL deliveries SET status = 'sending', token = token + 1, attempt_count = attempt_count + 1,"
        f" due_at = NULL, lease_until = new.until, updated_at = {transaction.wall}"
        " FROM new WHERE deliveries.seq = new.seq",
        "seq, until",
        picked,
    )
    return _claims(transaction, [seq for seq, _ in picked])


def _reclaim(transaction: Transaction, calls: Sequence[tuple[int, bool]]) -> list[list[Claim]]:
    return [_reclaim_one(transaction, limit, all_owners) for limit, all_owners in calls]


def _reclaim_one(transaction: Transaction, limit: int, all_owners: bool) -> list[Claim]:
    # Later than any lease.
    until = 2**62 if all_owners else transaction.now
    seqs: Any = transaction.fetch(_LEASED, (until, limit))
    if not seqs:
        return []
    transaction.change(
        "UPDATE OR FAIL deliveries SET token = token + 1, lease_until = ?"
        " WHERE seq IN (SELECT value FROM json_each(?))",
        (transaction.now + _RECLAIM_LEASE // timedelta(milliseconds=1), orjson.dumps(seqs).decode()),
    )
    return _claims(transaction, seqs)


Renewal = tuple[Sequence[Claim], int]
"""The claims to renew, and for how many milliseconds."""


def _renew(transaction: Transaction, renewals: Sequence[Renewal]) -> list[None]:
    transaction.change_each(
        "UPDATE OR FAIL deliveries SET lease_until = new.until FROM new"
        " WHERE deliveries.id = new.id AND deliveries.token = new.token AND deliveries.status = 'sending'",
        "id, token, until",
        [
            (claim.delivery.id, claim.delivery.token, transaction.now + duration)
            for claims, duration in renewals
            for claim in claims
        ],
    )
    return [None] * len(renewals)


def _due(connection: apsw.Connection, ahead: int) -> dict[str, datetime]:
    return {lane: instant(at + ahead) for lane, at in fetch(connection, _DUE, {"ahead": ahead})}


def _expired(connection: apsw.Connection, ahead: int, at: int, limit: int) -> list[Delivery]:
    return [delivery_from(row, ahead) for row in fetch(connection, _EXPIRED, (at, limit))]


def leased(connection: apsw.Connection) -> list[tuple[str, str, int]]:
    """Lane, delivery id and token of each delivery that was under way when the database was last used."""
    return [(lane, id_, token) for lane, id_, token in fetch(connection, _UNDER_WAY)]


class SqliteQueue(GatedQueue):
    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        clock: Clock,
        timeline: Timeline,
        random: Random,
        under_way: Iterable[tuple[str, str, int]] = (),
    ) -> None:
        """`under_way` is what `leased` gave."""
        super().__init__(clock, random, under_way)
        self._writer = writer
        self._readers = readers
        self._timeline = timeline

    async def due(self) -> Mapping[str, datetime]:
        return await self._readers.run(_due, self._timeline.ahead())

    async def expired(self, at: datetime, limit: int) -> Sequence[Delivery]:
        return await self._readers.run(_expired, self._timeline.ahead(), milliseconds(at), limit)

    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> None:
        for start in range(0, len(claims), _RENEWED_AT_ONCE):
            part = claims[start : start + _RENEWED_AT_ONCE]
            renewal: Renewal = (part, int(lease_seconds * 1000))
            await self._writer.submit(_renew, renewal, rows=len(part), vital=True)

    async def _claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        claiming: Claiming = (wants, lease_seconds)
        return await self._writer.submit(_claim, claiming, vital=True)

    async def _finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        return await self._writer.submit(finish, results, rows=len(results), vital=True)

    async def _reclaim(self, limit: int, *, all_owners: bool) -> Sequence[Claim]:
        return await self._writer.submit(_reclaim, (limit, all_owners), vital=True)
