"""A queue that keeps its lanes in the memory of the one process that has the store open. See docs/decisions/0010."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import floor
from random import Random

from hub.clock import Clock
from hub.stores.base import (
    BreakerState,
    Claim,
    ClaimRequest,
    ClaimResult,
    HealthMark,
    LaneHealth,
    Queue,
    Result,
    WriteOutcome,
)
from hub.stores.gate import LaneState


class GatedQueue(Queue):
    """Keeps what is under way in each lane, and its gate.

    A store's `_claim`, `_finish` and `_reclaim` follow `Queue`, but know nothing of policies, health marks and pauses.
    """

    def __init__(self, clock: Clock, random: Random, under_way: Iterable[tuple[str, str, int]] = ()) -> None:
        """`under_way` gives lane, delivery id and token of what was leased when the store was opened."""
        self._clock = clock
        self._random = random
        self._lanes: dict[str, LaneState] = {}
        for name, delivery_id, token in under_way:
            self._lane(name).under_way[delivery_id] = token

    @abstractmethod
    async def _claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        """Claim what each request allows; `ClaimResult.next_due` is when each lane's next pending delivery is due."""

    @abstractmethod
    async def _finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]: ...

    @abstractmethod
    async def _reclaim(self, limit: int, *, all_owners: bool) -> Sequence[Claim]: ...

    async def claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        now, at = self._now(), self._clock.now()
        admitted: list[ClaimRequest] = []
        claims: tuple[Claim, ...] = ()
        try:
            admitted += (self._admit(want, now) for want in wants)
            claimed = await self._claim(admitted, lease_seconds)
            claims = claimed.claims
        finally:
            # Even when the claim failed: room that is not given back would keep the lane full for good.
            self._record_claims(admitted, claims, at)
        result = self._gated(claimed, wants, now, at)
        self._forget_idle([want.lane for want in wants], now)
        return result

    async def finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        written = await self._finish(results)
        # Only what is on disk counts: a result that could not be written comes again, and would count twice.
        now = self._now()
        for result, what in zip(results, written, strict=True):
            if what is WriteOutcome.RECORDED:
                self._record(result, now)
            # Other deliveries stay under way: their callers write another result for them.
            elif what is WriteOutcome.FENCED:
                self._drop_fenced(result)
        self._forget_idle({result.delivery.lane for result in results}, now)
        return written

    async def reclaim(self, limit: int, *, all_owners: bool = False) -> Sequence[Claim]:
        claims = await self._reclaim(limit, all_owners=all_owners)
        self._began(claims)
        # Claims and results look at their own lanes; this call comes at intervals, and looks at all of them.
        self._forget_idle(list(self._lanes), self._now())
        return claims

    async def health(self, lanes: Collection[str]) -> Mapping[str, LaneHealth]:
        now, at = self._now(), self._clock.now()
        known = {name: lane for name in lanes if (lane := self._lanes.get(name)) is not None}
        return {name: _health(lane, now, at) for name, lane in known.items() if not lane.breaker.healthy}

    def _lane(self, name: str) -> LaneState:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = LaneState()
        return lane

    def _now(self) -> float:
        """Monotonic seconds in whole milliseconds; the hundredth of one makes up for sums just short of the next."""
        return floor(self._clock.monotonic() * 1000 + 0.01) / 1000

    # -- what is under way ---------------------------------------------------------------------------------------------

    def _admit(self, want: ClaimRequest, now: float) -> ClaimRequest:
        """The request, limited to what its lane allows now."""
        lane = self._lane(want.lane)
        lane.adopt(want.policy)
        limit = lane.take(want.limit, now)
        return want if limit == want.limit else replace(want, limit=limit)

    def _record_claims(self, admitted: Sequence[ClaimRequest], claims: Sequence[Claim], at: datetime) -> None:
        """Turn the room that was taken into deliveries under way, and give back the rest."""
        numbers = Counter(claim.delivery.lane for claim in claims if claim.needs_attempt(at))
        for want in admitted:
            lane = self._lanes[want.lane]
            used = min(want.limit, numbers[want.lane])
            # A lane may be asked for twice in one claim; its deliveries are set off against the first request first.
            numbers[want.lane] -= used
            lane.settle(want.limit, used)
        self._began(claims)

    def _began(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            delivery = claim.delivery
            self._lane(delivery.lane).under_way[delivery.id] = delivery.token

    def _record(self, result: Result, now: float) -> None:
        lane, delivery = self._lane(result.delivery.lane), result.delivery
        lane.under_way.pop(delivery.id, None)
        at_hand = lane.is_at(result.address)
        lane.record(result.health_mark if at_hand else HealthMark.NONE, now, self._random.uniform(-1, 1))
        if at_hand and result.pause_seconds is not None:
            lane.pause(now + result.pause_seconds)

    def _drop_fenced(self, result: Result) -> None:
        """Drop a fenced delivery, unless another claim of it counts by now: then its token is another one."""
        lane, delivery = self._lanes.get(result.delivery.lane), result.delivery
        if lane is not None and lane.under_way.get(delivery.id) == delivery.token:
            del lane.under_way[delivery.id]

    def _forget_idle(self, names: Collection[str], now: float) -> None:
        for name in names:
            if (lane := self._lanes.get(name)) is not None and lane.idle(now):
                del self._lanes[name]

    # -- the answer ----------------------------------------------------------------------------------------------------

    def _gated(self, claimed: ClaimResult, wants: Sequence[ClaimRequest], now: float, at: datetime) -> ClaimResult:
        """The answer to a claim. `now` and `at` are the instant at which room was taken in the lanes."""
        next_due: dict[str, datetime] = {}
        full, barred = set(), set()
        for name, due_at in claimed.next_due.items():
            lane = self._lanes[name]
            # Lanes go by the monotonic clock, answers by the time of day: only differences pass between the two.
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
