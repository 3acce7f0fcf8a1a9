"""A queue whose lanes are bounded in the memory of the one process that has it open."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import floor
from random import Random

from hub.clock import Clock
from hub.stores.base import BreakerState, Claim, ClaimRequest, ClaimResult, LaneHealth, Queue, Result, WriteOutcome
from hub.stores.gate import LaneState


class GatedQueue(Queue):
    """Books what is under way in each lane; a store's `_claim`, `_finish` and `_reclaim` do the rest as `Queue` says,
    with no regard for policies, signs and pauses."""

    def __init__(self, clock: Clock, random: Random, under_way: Iterable[tuple[str, str, int]] = ()) -> None:
        """`under_way` gives lane, delivery id and token of what was leased before this process began."""
        self._clock = clock
        self._random = random
        self._lanes: dict[str, LaneState] = {}
        for name, delivery_id, token in under_way:
            self._lane(name).under_way[delivery_id] = token

    @abstractmethod
    async def _claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        """`ClaimResult.next_due` tells when each lane's next pending delivery is due."""

    @abstractmethod
    async def _finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]: ...

    @abstractmethod
    async def _reclaim(self, limit: int, *, all_owners: bool) -> Sequence[Claim]: ...

    async def claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        now, at = self._now(), self._clock.now()
        admitted = [self._admit(want, now) for want in wants]
        claims: tuple[Claim, ...] = ()
        try:
            claimed = await self._claim(admitted, lease_seconds)
            claims = claimed.claims
        finally:
            self._record_claims(admitted, claims)
        told = self._told(claimed, wants, now, at)
        self._forget_idle([want.lane for want in wants], now)
        return told

    async def finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        written = await self._finish(results)
        now, at = self._now(), self._clock.now()
        for result, what in zip(results, written, strict=True):
            if what is WriteOutcome.RECORDED:
                self._note(result, now, at)
            elif what is WriteOutcome.FENCED:
                self._lost(result)
        self._forget_idle({result.delivery.subscription_id for result in results}, now)
        return written

    async def reclaim(self, limit: int, *, all_owners: bool = False) -> Sequence[Claim]:
        claims = await self._reclaim(limit, all_owners=all_owners)
        self._began(claims)
        self._forget_idle(list(self._lanes), self._now())
        return claims

    async def health(self, lanes: Collection[str]) -> Mapping[str, LaneHealth]:
        now, at = self._now(), self._clock.now()
        known = {name: lane for name in lanes if (lane := self._lanes.get(name)) is not None}
        return {name: _health(lane, now, at) for name, lane in known.items() if not lane.breaker.well}

    def _lane(self, name: str) -> LaneState:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = LaneState()
        return lane

    def _now(self) -> float:
        """As whole milliseconds, which a sum of fractions may be just short of."""
        return floor(self._clock.monotonic() * 1000 + 0.01) / 1000

    # -- booking -----------------------------------------------------------------------------------------------------

    def _admit(self, want: ClaimRequest, now: float) -> ClaimRequest:
        """The want as its lane allows it now."""
        lane = self._lane(want.lane)
        lane.adopt(want.policy)
        limit = lane.take(want.limit, now)
        return want if limit == want.limit else replace(want, limit=limit)

    def _record_claims(self, admitted: Sequence[ClaimRequest], claims: Sequence[Claim]) -> None:
        """Turn the room that was taken into deliveries under way, and give back what is left of it."""
        numbers = Counter(claim.delivery.subscription_id for claim in claims)
        for want in admitted:
            lane = self._lanes[want.lane]
            used = min(want.limit, numbers[want.lane])
            numbers[want.lane] -= used
            lane.settle(want.limit, used)
        self._began(claims)

    def _began(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            delivery = claim.delivery
            self._lane(delivery.subscription_id).under_way[delivery.id] = delivery.token

    def _note(self, result: Result, now: float, at: datetime) -> None:
        lane, delivery = self._lane(result.delivery.subscription_id), result.delivery
        lane.under_way.pop(delivery.id, None)
        lane.note(result.sign, now, self._random.uniform(-1, 1))
        if result.pause_until is not None:
            lane.pause(now + (result.pause_until - at).total_seconds())

    def _lost(self, result: Result) -> None:
        """Whoever moved the token on counts it now, unless nobody did since this claim."""
        lane, delivery = self._lanes.get(result.delivery.subscription_id), result.delivery
        if lane is not None and lane.under_way.get(delivery.id) == delivery.token:
            del lane.under_way[delivery.id]

    def _forget_idle(self, names: Collection[str], now: float) -> None:
        for name in names:
            if (lane := self._lanes.get(name)) is not None and lane.idle(now):
                del self._lanes[name]

    # -- telling -----------------------------------------------------------------------------------------------------

    def _told(self, claimed: ClaimResult, wants: Sequence[ClaimRequest], now: float, at: datetime) -> ClaimResult:
        """What to expect of each lane; `now` and `at` are of when the lanes were asked for room."""
        next_due: dict[str, datetime] = {}
        full, barred = set(), set()
        for name, due_at in claimed.next_due.items():
            lane = self._lanes[name]
            wait = lane.not_before(now) - now
            if wait > 0 and (opens_at := at + timedelta(milliseconds=round(wait * 1000))) >= due_at:
                next_due[name] = opens_at
                barred.add(name)
            elif due_at <= at and lane.full(now):
                full.add(name)
            else:
                next_due[name] = due_at
        breaker_open = {want.lane for want in wants if self._lanes[want.lane].breaker.state(now) is BreakerState.OPEN}
        return ClaimResult(claimed.claims, next_due, frozenset(full), frozenset(breaker_open), frozenset(barred))


def _health(lane: LaneState, now: float, at: datetime) -> LaneHealth:
    breaker = lane.breaker
    state = breaker.state(now)
    open_until = at + timedelta(seconds=breaker.open_until - now) if state is BreakerState.OPEN else None
    return LaneHealth(breaker.failures, state, open_until)
