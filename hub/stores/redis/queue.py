"""The deliveries that wait in the Redis store."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from random import Random
from typing import Any, Final

from hub.failpoints import Failpoint
from hub.models import Cause, Delivery, Event
from hub.stores.base import (
    BreakerState,
    Claim,
    ClaimRequest,
    ClaimResult,
    Effect,
    HealthMark,
    LaneHealth,
    Queue,
    Result,
    WriteOutcome,
)
from hub.stores.milliseconds import milliseconds, wait_ms
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.errors import Lost
from hub.stores.redis.client.group_commit import GroupCommit
from hub.stores.redis.keyspace.codec import (
    as_str_bytes,
    delivery_from,
    document_digest,
    event_from,
    pack,
    packed_attempt,
    packed_entry,
)
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.records import record_name
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.unreadable import FOREIGN_EVENT, READ_ERRORS, placeholder

_CLAIM: Final = script("claim")
_FINISH: Final = script("finish")
_RENEW: Final = script("renew")
_RECLAIM: Final = script("reclaim")
_RECONCILE: Final = script("reconcile")
_HEALTH: Final = script("health")
_DUE: Final = script("due")
_EXPIRED: Final = script("expired")
_MILLISECOND: Final = timedelta(milliseconds=1)
_YEAR_MS: Final = 366 * 86_400_000
_RECLAIM_LEASE_MS: Final = 60_000
_RECONCILED_AT_ONCE: Final = 500
_RENEWED_AT_ONCE: Final = 500
_WRITTEN: Final = (WriteOutcome.RECORDED, WriteOutcome.FENCED, WriteOutcome.EVENT_CANCELLED, WriteOutcome.STALE)
_LOST_EVENT: Final = "the stored event is gone: the Redis server lost it"
_DAMAGED_EVENT: Final = "the stored event is not what was accepted: the Redis server damaged it"


def _in(wait: int, at: datetime) -> datetime:
    """The instant `wait` milliseconds after `at`, or in a year: what is to be sent in the year 9999 by the server's
    clock has no instant by one that is ahead of it."""
    return at + min(wait, _YEAR_MS) * _MILLISECOND


def _stored_event(document: bytes | None, digest: bytes | None, cancelled: bytes | None) -> Event | str:
    """The event, or what is wrong with it."""
    if document is None:
        return _LOST_EVENT
    if digest is None or document_digest(document) != digest:
        return _DAMAGED_EVENT
    try:
        return event_from(document, cancelled)
    except READ_ERRORS:
        return FOREIGN_EVENT


def _claim(id_: bytes, stored: Event | str, fields: Sequence[bytes | None]) -> Claim:
    """`fields` are `CLAIM_FIELDS`."""
    *of_delivery, by = fields
    delivery = delivery_from(id_.decode(), of_delivery)
    cause = Cause(by.decode()) if by else Cause.AUTOMATIC
    if isinstance(stored, Event):
        return Claim(delivery, stored, cause, delivery.updated_at)
    lost = placeholder(delivery.event_id, delivery.tenant, delivery.event_type, delivery.created_at)
    return Claim(delivery, lost, cause, delivery.updated_at, damage=stored)


def _want_row(want: ClaimRequest, lease_seconds: float) -> tuple[Any, ...]:
    policy = want.policy
    lease_ms = round(lease_seconds * 1000)
    gate = policy.max_in_flight, policy.per_second, policy.revision, policy.address
    return (want.lane, want.limit, int(want.first), lease_ms, *gate)


def _result_row(result: Result, random: Random) -> tuple[Any, ...]:
    delivery, attempt = result.delivery, result.attempt
    return (
        delivery.id,
        delivery.token,
        delivery.status,
        delivery.reason,
        delivery.attempt_count,
        delivery.schedule_base,
        result.cause,
        wait_ms(delivery),
        milliseconds(delivery.updated_at),
        attempt.number if attempt else None,
        as_str_bytes(packed_attempt(attempt)) if attempt else None,
        [as_str_bytes(packed_entry(entry)) for entry in result.feed],
        result.health_mark,
        random.uniform(-1, 1) if result.health_mark is HealthMark.BAD else 0.0,
        None if result.pause_seconds is None else ceil(result.pause_seconds * 1000),
        delivery.checkpoint,
        delivery.steps_spared,
        result.address,
        [_effect_row(effect) for effect in result.effects] if result.effects else None,
    )


def _effect_row(effect: Effect) -> tuple[Any, ...]:
    record = effect.record
    shown = [as_str_bytes(packed_entry(entry)) for entry in effect.feed]
    return (record_name(record), effect.version, as_str_bytes(record.doc or b""), shown)


def _key(result: Result) -> tuple[str, int]:
    return result.delivery.id, result.delivery.token


@dataclass(frozen=True, slots=True)
class _Unanswered:
    """A call that may have been carried out: its number, its rows, and which results they are."""

    number: int
    rows: Sequence[tuple[Any, ...]]
    keys: Sequence[tuple[str, int]]


class RedisQueue(Queue):
    def __init__(
        self, engine: Engine, losses: LossDetection, process: str, random: Random, failpoint: Failpoint
    ) -> None:
        """`process` names this one among all that have the store open; `random` spreads the open times of breakers."""
        self._engine = engine
        self._keys = KeyNames(engine.prefix)
        self._losses = losses
        self._process = process
        self._random = random
        self._failpoint = failpoint
        # One claim at a time: the server keeps only the last answer of a process, to give it again.
        self._claiming = asyncio.Lock()
        self._claim_number = 0
        self._claim_answered = 0
        """The last claim whose answer arrived."""
        self._finishing = GroupCommit("finish", self._finish, failpoint)
        self._unanswered: _Unanswered | None = None
        self._answered_late: dict[tuple[str, int], WriteOutcome] = {}
        """Outcomes of results whose writers got `Unavailable`, by delivery and token."""

    async def due(self) -> Mapping[str, datetime]:
        waits = await self._engine.run(_DUE, repeat=True)
        at = self._engine.clock.now()
        return {lane.decode(): _in(int(wait), at) for lane, wait in zip(waits[::2], waits[1::2], strict=True)}

    async def expired(self, at: datetime, limit: int) -> Sequence[Delivery]:
        rows = await self._engine.run(_EXPIRED, milliseconds(at), limit, repeat=True)
        return [delivery_from(id_.decode(), of_delivery) for id_, *of_delivery, _ in rows]

    async def claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        async with self._claiming:
            rows, events, outlooks = await self._call_claim(
                [_want_row(want, lease_seconds[want.lane]) for want in wants]
            )
        at = self._engine.clock.now()
        told = [(want.lane, *outlook) for want, outlook in zip(wants, outlooks, strict=True)]
        return ClaimResult(
            tuple(self._claims(rows, events)),
            {lane: _in(wait, at) for lane, wait, _, _, _ in told if wait is not None},
            full=frozenset(lane for lane, _, full, _, _ in told if full),
            breaker_open=frozenset(lane for lane, _, _, is_open, _ in told if is_open),
            barred=frozenset(lane for lane, _, _, _, barred in told if barred),
        )

    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> None:
        lease_ms = round(lease_seconds * 1000)
        for start in range(0, len(claims), _RENEWED_AT_ONCE):
            part = [(one.delivery.id, one.delivery.token) for one in claims[start : start + _RENEWED_AT_ONCE]]
            await self._engine.run(_RENEW, lease_ms, pack(part), repeat=True)

    async def finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        if not results:
            return []
        return await self._finishing.submit(results, rows=len(results), vital=True)

    async def reclaim(self, limit: int, *, all_owners: bool = False) -> Sequence[Claim]:
        self._failpoint("before_reclaim")
        # Not repeated: a second run would not give what the first one took. When the answer is lost, those leases run
        # out in a minute, and the deliveries are taken over again.
        rows, events = await self._engine.run(_RECLAIM, self._process, _RECLAIM_LEASE_MS, limit, int(all_owners))
        self._failpoint("after_reclaim")
        await self.reconcile(_RECONCILED_AT_ONCE)
        return self._claims(rows, events)

    async def reconcile(self, limit: int) -> tuple[int, bool]:
        """Look at `limit` unfinished deliveries, from where the last call of any process ended, and put back those that
        stand in no lane. Gives how many were put back, and whether this call came to the end of all lanes."""
        repaired, over = await self._engine.run(_RECONCILE, limit, repeat=True)
        return repaired, over == 1

    async def health(self, lanes: Collection[str]) -> Mapping[str, LaneHealth]:
        named = list(lanes)
        told = await self._engine.run(_HEALTH, *named, repeat=True)
        known = {lane: self._health(*one) for lane, *one in zip(named, told[::2], told[1::2], strict=True)}
        return {lane: health for lane, health in known.items() if health != LaneHealth()}

    async def close(self) -> None:
        """Return when everything that was submitted is written or refused."""
        await self._finishing.close()

    def _claims(self, rows: Sequence[Sequence[Any]], events: Sequence[Sequence[Any]]) -> list[Claim]:
        """The claims in a reply of rows and events, as `lua/lib/claims.lua` describes them."""
        stored = [_stored_event(*event) for event in events]
        claims = []
        for id_, number, *fields in rows:
            try:
                claims.append(_claim(id_, stored[number - 1], fields))
            except READ_ERRORS as error:
                # It stays leased until a process takes it over that can read it.
                self._engine.unreadable.note("delivery", id_.decode(errors="replace"), error)
        return claims

    def _health(self, failures: int, open_ms: int) -> LaneHealth:
        if open_ms < 0:
            return LaneHealth(failures)
        if open_ms == 0:
            return LaneHealth(failures, BreakerState.HALF_OPEN)
        until = _in(open_ms, self._engine.clock.now())
        return LaneHealth(failures, BreakerState.OPEN, until)

    async def _call_claim(self, wants: Sequence[tuple[Any, ...]]) -> Any:
        """One claim. What an earlier one leased whose answer was lost comes with the next answer that arrives."""
        self._claim_number += 1
        self._failpoint("before_claim")
        reply = await self._engine.run(
            _CLAIM,
            self._process,
            self._claim_number,
            self._claim_answered,
            pack(wants),
            repeat=True,
        )
        self._failpoint("after_claim")
        self._claim_answered = self._claim_number
        return reply

    async def _finish(self, number: int, calls: Sequence[Sequence[Result]]) -> Sequence[Sequence[WriteOutcome]]:
        if self._unanswered is not None:
            # Made again under its old number before anything new is written: the server says whether it was carried
            # out. The writers of its results submit them again, and get these outcomes instead of being fenced by
            # their own first write.
            keys, written = self._unanswered.keys, await self._write(self._unanswered.number, self._unanswered.rows)
            self._answered_late = dict(zip(keys, written, strict=True))
            self._unanswered = None
        late = [[self._answered_late.pop(_key(result), None) for result in results] for results in calls]
        fresh = [
            result
            for results, known in zip(calls, late, strict=True)
            for result, written in zip(results, known, strict=True)
            if written is None
        ]
        rows = [_result_row(result, self._random) for result in fresh]
        try:
            outcomes = iter(await self._write(number, rows) if rows else ())
        except Lost:
            self._unanswered = _Unanswered(number, rows, [_key(result) for result in fresh])
            raise
        return [[next(outcomes) if written is None else written for written in known] for known in late]

    async def _write(self, number: int, rows: Sequence[tuple[Any, ...]]) -> Sequence[WriteOutcome]:
        epoch, gone, last, outcomes = await self._engine.run(
            _FINISH,
            self._process,
            number,
            *self._losses.arguments(),
            pack(rows),
            repeat=True,
        )
        self._losses.note(epoch, gone, last)
        return [_WRITTEN[outcome] for outcome in outcomes]
