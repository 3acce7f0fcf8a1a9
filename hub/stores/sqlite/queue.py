"""Pending deliveries in the SQLite store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import apsw
import orjson

from hub.clock import Clock
from hub.models import Cause, Delivery, Status
from hub.stores.base import Claim, ClaimRequest, ClaimResult, Result, WriteOutcome
from hub.stores.milliseconds import instant, milliseconds, wait_ms
from hub.stores.process import GatedQueue
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.rows import (
    ATTEMPT_COLUMNS,
    DELIVERY_ID,
    DELIVERY_JSON,
    EVENT_JSON,
    Row,
    delivery_from,
    event_from,
    fetch,
)
from hub.stores.stored import attempts
from hub.stores.unreadable import FOREIGN_EVENT, READ_ERRORS, placeholder

_RECLAIM_LEASE: Final = timedelta(minutes=1)
"""Long enough for the caller to finish what it took over."""
_RENEWED_AT_ONCE: Final = 500


def _first_due(lane: str, *, appointed: bool) -> str:
    """When the first delivery of a lane is due, by the store's time. With `appointed` also by the time of day, which is
    :ahead of it."""
    # Each part reads the first entry of the index `deliveries_due` for a lane and class; one condition for all would
    # read all.
    first = f"FROM deliveries WHERE status = 'pending' AND subscription_id = {lane}"
    parts = [
        f"SELECT min(due_at) AS at {first} AND is_retry = 0 AND appointed = 0",
        f"SELECT min(due_at) {first} AND is_retry = 1 AND appointed = 0",
        f"SELECT min(due_at) - :ahead {first} AND is_retry = 0 AND appointed = 1",
    ]
    return f"(SELECT min(at) FROM ({' UNION ALL '.join(parts if appointed else parts[:2])}))"


def _pick(*, appointed: bool) -> str:
    """Which deliveries to claim; each of :wants is [lane, limit, retries first, end of the lease]."""
    # What is appointed is never a retry.
    classes = [
        ("0", "due_at", "is_retry = want.value ->> 2 AND appointed = 0 AND due_at <= :now"),
        ("1", "due_at", "is_retry = 1 - (want.value ->> 2) AND appointed = 0 AND due_at <= :now"),
        ("want.value ->> 2", "due_at - :ahead", "is_retry = 0 AND appointed = 1 AND due_at <= :now + :ahead"),
    ]
    parts = [
        f"""
                SELECT seq, {number} AS class, {due_at} AS due_at FROM (
                    SELECT seq, due_at FROM deliveries
                    WHERE status = 'pending' AND subscription_id = want.value ->> 0 AND {condition}
                    ORDER BY due_at, seq LIMIT :limit)"""
        for number, due_at, condition in (classes if appointed else classes[:2])
    ]
    return f"""
    SELECT json_array(picked.value, want.value ->> 3) AS row
    FROM json_each(:wants) AS want, json_each((
        SELECT json_group_array(seq) FROM (
            SELECT seq FROM ({" UNION ALL ".join(parts)})
            ORDER BY class, due_at, seq LIMIT :limit))) AS picked
    WHERE picked.key < want.value ->> 1
    ORDER BY want.key, picked.key
"""


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
_ANY_APPOINTED: Final = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE status = 'pending' AND appointed = 1) AS row"
# Most hubs have none, and then each lane is spared two looks.
_PICK: Final = (_pick(appointed=False), _pick(appointed=True))
_NEXT_DUE: Final = (_next_due(appointed=False), _next_due(appointed=True))
_CLAIMED: Final = f"""
    SELECT json_array({DELIVERY_JSON}, {EVENT_JSON}, deliveries.cause) AS row
    FROM json_each(?) AS picked CROSS JOIN deliveries ON deliveries.seq = picked.value
    JOIN events ON events.seq = deliveries.event_seq
    ORDER BY picked.key
"""
_STATES: Final = """
    SELECT json_array(deliveries.id, deliveries.seq, token, cancelled_at IS NOT NULL) AS row
    FROM json_each(?) AS wanted CROSS JOIN deliveries ON deliveries.id = wanted.value
    JOIN events ON events.seq = deliveries.event_seq
"""
_LEASED: Final = (
    "SELECT seq AS row FROM deliveries WHERE status = 'sending' AND lease_until <= ? ORDER BY lease_until LIMIT ?"
)
_UNDER_WAY: Final = "SELECT json_array(subscription_id, id, token) AS row FROM deliveries WHERE status = 'sending'"

_STATE_COLUMNS: Final = (
    "seq, status, reason, attempt_count, schedule_base, checkpoint, token, cause, due_at, updated_at"
)


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
    given = orjson.dumps(
        [(w.lane, w.limit, int(w.retries_first), transaction.now + int(lease_seconds[w.lane] * 1000)) for w in wants]
    ).decode()
    limit = max((want.limit for want in wants), default=0)
    now, ahead = transaction.now, transaction.ahead
    picked: Any = transaction.fetch(_PICK[appointed], {"wants": given, "now": now, "ahead": ahead, "limit": limit})
    claims: list[Claim] = []
    if picked:
        transaction.change_each(
            "UPDATE OR FAIL deliveries SET status = 'sending', token = token + 1, attempt_count = attempt_count + 1,"
            f" due_at = NULL, lease_until = new.until, updated_at = {transaction.wall}"
            " FROM new WHERE deliveries.seq = new.seq",
            "seq, until",
            picked,
        )
        claims = _claims(transaction, [seq for seq, _ in picked])
    next_due: Any = transaction.fetch(_NEXT_DUE[appointed], {"wants": given, "ahead": ahead})
    return ClaimResult(tuple(claims), {lane: instant(at + ahead) for lane, at in next_due if at is not None})


def _finish(transaction: Transaction, calls: Sequence[Sequence[Result]]) -> list[list[WriteOutcome]]:
    ids = [result.delivery.id for results in calls for result in results]
    states: Any = transaction.fetch(_STATES, (orjson.dumps(ids).decode(),))
    known = {id_: (seq, token, bool(cancelled)) for id_, seq, token, cancelled in states}
    finishing = _Finishing(known, transaction.now)
    outcomes = [[finishing.judge(result) for result in results] for results in calls]
    finishing.write(transaction)
    return outcomes


class _Finishing:
    """Decides on results one after the other, and collects what is to be written for all of them."""

    def __init__(self, states: dict[str, tuple[int, int, bool]], now: int) -> None:
        self._now = now
        self._states = states
        """By delivery id: seq, token, whether the event is cancelled."""
        self._next: dict[int, tuple[str | int | None, ...]] = {}
        self._attempts: list[tuple[str | int | None, ...]] = []
        self._recorded: list[Result] = []

    def judge(self, result: Result) -> WriteOutcome:
        delivery = result.delivery
        seq, token, cancelled = self._states.get(delivery.id, (0, -1, False))
        # Raised by each claim, takeover and write, also by an earlier result of this group.
        if token != delivery.token:
            return WriteOutcome.FENCED
        if delivery.status is Status.PENDING and cancelled:
            return WriteOutcome.EVENT_CANCELLED
        self._states[delivery.id] = (seq, token + 1, cancelled)
        self._next[seq] = _state_row(seq, token + 1, result, self._now)
        if result.attempt:
            place = seq, result.attempt.number, delivery.tenant, delivery.channel
            self._attempts.append((*place, *attempts.values(result.attempt)))
        self._recorded.append(result)
        return WriteOutcome.RECORDED

    def write(self, transaction: Transaction) -> None:
        transaction.change_each(
            "UPDATE OR FAIL deliveries SET status = new.status, reason = new.reason, attempt_count = new.attempt_count,"
            " schedule_base = new.schedule_base, checkpoint = new.checkpoint,"
            " token = new.token, cause = new.cause, due_at = new.due_at, appointed = 0, lease_until = NULL,"
            " updated_at = new.updated_at FROM new WHERE deliveries.seq = new.seq",
            _STATE_COLUMNS,
            list(self._next.values()),
        )
        transaction.insert("attempts", ATTEMPT_COLUMNS, self._attempts, replace=True)
        transaction.append(entry for result in self._recorded for entry in result.feed)


def _state_row(seq: int, token: int, result: Result, now: int) -> tuple[str | int | None, ...]:
    """The delivery's next state as `_STATE_COLUMNS`."""
    delivery = result.delivery
    wait = wait_ms(delivery)
    return (
        seq,
        delivery.status,
        delivery.reason,
        delivery.attempt_count,
        delivery.schedule_base,
        delivery.checkpoint,
        token,
        result.cause,
        None if wait is None else now + wait,
        milliseconds(delivery.updated_at),
    )


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

    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> None:
        for start in range(0, len(claims), _RENEWED_AT_ONCE):
            part = claims[start : start + _RENEWED_AT_ONCE]
            renewal: Renewal = (part, int(lease_seconds * 1000))
            await self._writer.submit(_renew, renewal, rows=len(part), vital=True)

    async def _claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        claiming: Claiming = (wants, lease_seconds)
        return await self._writer.submit(_claim, claiming, vital=True)

    async def _finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        return await self._writer.submit(_finish, results, rows=len(results), vital=True)

    async def _reclaim(self, limit: int, *, all_owners: bool) -> Sequence[Claim]:
        return await self._writer.submit(_reclaim, (limit, all_owners), vital=True)
