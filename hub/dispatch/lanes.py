"""Who may send now: one lane a subscription, each with a cap, a rate and a breaker; lanes take turns."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from math import ceil, inf
from random import Random

from hub.clock import Clock
from hub.dispatch.breaker import Breaker, BreakerState
from hub.stores.base import Want

RETRIES_FIRST_EVERY = 4
"""One claim in so many prefers retries, so that neither class starves the other."""
RESERVED_SHARE = 0.25
"""The part of all room that is kept for lanes which hold less than their fair share."""


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What a subscription allows: attempts under way at once, attempts per second (None: no limit)."""

    max_in_flight: int
    per_second: float | None = None
    enabled: bool = True


class Lane:
    """The state of one lane in this process. Times are monotonic seconds."""

    def __init__(self, lane_id: str, random: Random) -> None:
        self.id = lane_id
        self.breaker = Breaker(random)
        self.in_flight = 0
        self.due_at = inf
        self.queued_for = inf
        self._paused_until = 0.0
        self._spent_until = -inf
        self._recovered_at = -inf
        self._claims = 0

    def room(self, policy: LanePolicy, now: float) -> int:
        """How many attempts may start at `now`."""
        if now < self._paused_until or now < self.due_at or not policy.enabled:
            return 0
        room = self.breaker.allowance(policy.max_in_flight, now) - self.in_flight
        if policy.per_second is not None:
            spent_until = max(self._spent_until, now - _burst_seconds(policy.per_second))
            room = min(room, int((now - spent_until) * policy.per_second + 1e-6))
        return max(room, 0)

    def start(self, number: int, policy: LanePolicy, now: float) -> Want:
        """Take so much room; `unclaimed` gives back what the store had no delivery for."""
        self.in_flight += number
        self.due_at = inf
        self._claims += 1
        if policy.per_second is not None:
            spent_until = max(self._spent_until, now - _burst_seconds(policy.per_second))
            self._spent_until = spent_until + number / policy.per_second
            self._recovered_at = self._spent_until + _burst_seconds(policy.per_second)
        return Want(self.id, number, retries_first=self._claims % RETRIES_FIRST_EVERY == 0)

    def unclaimed(self, number: int, policy: LanePolicy) -> None:
        self.in_flight -= number
        if policy.per_second is not None:
            self._spent_until -= number / policy.per_second

    def ready_at(self, policy: LanePolicy, now: float) -> float:
        """When there may be room again, as far as time decides it; `inf` when an attempt has to end first."""
        allowed = self.breaker.allowance(policy.max_in_flight, now)
        resting = self.breaker.state is BreakerState.OPEN
        if not policy.enabled or (allowed <= self.in_flight and not resting):
            return inf
        at = max(self.due_at, self._paused_until, self.breaker.open_until if resting else 0.0)
        if policy.per_second is not None:
            at = max(at, self._spent_until + 1 / policy.per_second)
        return at

    def pause(self, until: float) -> None:
        self._paused_until = max(self._paused_until, until)

    def idle(self, now: float) -> bool:
        """Nothing to do and nothing to remember."""
        return (
            self.in_flight == 0
            and self.due_at == inf
            and self.breaker.untroubled
            and max(self._paused_until, self._recovered_at) <= now
        )


def _burst_seconds(per_second: float) -> float:
    """How far a rate may be behind: attempts are spaced evenly, and a tenth of a second may be caught up with."""
    return 1 / per_second + 0.1


Place = tuple[float, int, Lane]
"""A lane's place in the queue: when it is ready; in which order lanes came; the lane."""


class Lanes:
    """All lanes with something to do. `room` is the number of attempts that may be under way over all of them."""

    def __init__(self, room: int, policy: Callable[[str], LanePolicy], clock: Clock, random: Random) -> None:
        self._total = room
        self._policy = policy
        self._clock = clock
        self._random = random
        self._lanes: dict[str, Lane] = {}
        self._queue: list[Place] = []
        self._order = count()
        self._crowded_out: list[Place] = []
        self.in_flight = 0

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def get(self, lane_id: str) -> Lane | None:
        return self._lanes.get(lane_id)

    def notice(self, lane_id: str, due_at: datetime | None) -> None:
        """A delivery of this lane is due then (None: at once)."""
        now = self._clock.monotonic()
        delay = 0.0 if due_at is None else max(0.0, (due_at - self._clock.now()).total_seconds())
        lane = self._lanes.get(lane_id)
        if lane is None:
            lane = self._lanes[lane_id] = Lane(lane_id, self._random)
        lane.due_at = min(lane.due_at, now + delay)
        self._enqueue(lane)

    def refresh(self, lane_id: str) -> None:
        """The subscription of this lane changed: what is known of its target's health may not hold any more."""
        if (lane := self._lanes.get(lane_id)) is not None:
            lane.breaker = Breaker(self._random)
            self._enqueue(lane)

    def take(self) -> list[Want]:
        """Share the free room out over the lanes that are ready, in turns."""
        now = self._clock.monotonic()
        ready = []
        while self._queue and self._queue[0][0] <= now:
            place = at, _, lane = heapq.heappop(self._queue)
            if at != lane.queued_for:
                continue
            lane.queued_for = inf
            policy = self._policy(lane.id)
            if room := lane.room(policy, now):
                ready.append((place, policy, room))
            else:
                self._enqueue(lane)
        return [lane.start(slots, policy, now) for lane, policy, slots in self._share(ready)]

    def _share(self, ready: list[tuple[Place, LanePolicy, int]]) -> Iterator[tuple[Lane, LanePolicy, int]]:
        """So many slots for each; who gets none keeps its place in the queue."""
        fair = max(1, self._total // max(1, len(self._lanes)))
        reserve = int(self._total * RESERVED_SHARE)
        for number, (place, policy, room) in enumerate(ready):
            lane = place[2]
            free = self._total - self.in_flight
            share = min(room, ceil(free / (len(ready) - number)))
            slots = min(share, max(fair - lane.in_flight, free - reserve))
            if slots > 0:
                self.in_flight += slots
                yield lane, policy, slots
            else:
                self._crowded_out.append(place)

    def claimed(self, want: Want, number: int, next_due: datetime | None) -> None:
        """So many of a want were claimed; the next delivery of its lane is due then (None: none is left)."""
        lane = self._lanes[want.lane]
        self.in_flight -= want.limit - number
        lane.unclaimed(want.limit - number, self._policy(lane.id))
        if next_due is not None:
            self.notice(want.lane, next_due)
        else:
            self._released(lane)

    def settled(self, lane_id: str, *, failed: bool, pause_seconds: float = 0.0) -> None:
        """An attempt ended. `failed` counts against the target's health; `pause_seconds` is what it asked for."""
        lane, policy, now = self._lanes[lane_id], self._policy(lane_id), self._clock.monotonic()
        if failed:
            lane.breaker.failed(now)
        else:
            lane.breaker.succeeded(policy.max_in_flight)
        if pause_seconds:
            lane.pause(now + pause_seconds)
        self.freed(lane_id)

    def freed(self, lane_id: str) -> None:
        """An attempt gave its room back and says nothing about the target's health."""
        lane = self._lanes[lane_id]
        lane.in_flight -= 1
        self.in_flight -= 1
        self._released(lane)

    def next_ready(self) -> float:
        """Seconds until a lane may be ready; `inf` when only an event can make one ready."""
        if self.in_flight >= self._total or not self._queue:
            return inf
        return max(0.0, self._queue[0][0] - self._clock.monotonic())

    def prune(self) -> None:
        """Forget the lanes that are idle."""
        now = self._clock.monotonic()
        for lane in [lane for lane in self._lanes.values() if lane.idle(now)]:
            del self._lanes[lane.id]

    def _released(self, lane: Lane) -> None:
        crowded_out, self._crowded_out = self._crowded_out, []
        for place in crowded_out:
            at, _, other = place
            other.queued_for = at
            heapq.heappush(self._queue, place)
        self._enqueue(lane)
        if lane.idle(self._clock.monotonic()):
            del self._lanes[lane.id]

    def _enqueue(self, lane: Lane) -> None:
        """Queue a lane for when it is ready: never before now, so that it goes behind those that wait already."""
        now = self._clock.monotonic()
        at = max(lane.ready_at(self._policy(lane.id), now), now)
        if at < lane.queued_for:
            lane.queued_for = at
            heapq.heappush(self._queue, (at, next(self._order), lane))
