"""Whom this process asks for work next: its room for attempts is shared out over the lanes, which take turns."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import count
from math import ceil, inf
from typing import Final

from hub.clock import Clock
from hub.stores.base import ClaimRequest, ClaimResult, LanePolicy

RETRIES_FIRST_EVERY: Final = 4
"""One claim in so many prefers retries, so that neither class starves the other."""
RESERVED_SHARE: Final = 0.25
"""The part of all room that is kept for lanes which hold less than their fair share."""
FULL_SECONDS: Final = 0.1
"""A lane that others fill is asked for no more than so often, however much comes in for it."""
FIRST_MISS_SECONDS: Final = 0.05
LONGEST_MISS_SECONDS: Final = 5.0
"""How long to leave a lane that says something is due and gives nothing, time and again."""


class Lane:
    """What this process knows of one lane. Instants are monotonic seconds."""

    def __init__(self, lane_id: str) -> None:
        self.id = lane_id
        self.in_flight = 0
        """Attempts of this process, and room that it wants to fill."""
        self.due_at = inf
        self.queued_for = inf
        self.full = False
        """Something is due, and waits for an attempt to end."""
        self.resting = False
        self._barred_until = -inf
        self._freed = False
        self._claims = 0
        self._misses = 0

    @property
    def idle(self) -> bool:
        return self.in_flight == 0 and self.due_at == inf and not self.full

    @property
    def ready_at(self) -> float:
        return max(self.due_at, self._barred_until)

    def want(self, number: int, policy: LanePolicy) -> ClaimRequest:
        """Take so much room, until `answered`."""
        self.in_flight += number
        self.due_at = inf
        self._freed = False
        self._claims += 1
        return ClaimRequest(self.id, number, retries_first=self._claims % RETRIES_FIRST_EVERY == 0, policy=policy)

    def answered(self, claimed: ClaimResult, now: float, due_in: float, *, given: bool) -> None:
        """What the store said of this lane; `due_in` is `inf` where there is nothing to ask for any more."""
        self._misses = 0 if given or due_in > 0 else self._misses + 1
        if missed := self._misses > 1:
            due_in = min(FIRST_MISS_SECONDS * 2.0 ** (self._misses - 2), LONGEST_MISS_SECONDS)
        self.due_at = min(self.due_at, now + max(due_in, 0.0))
        self.resting = self.id in claimed.resting
        self.full = self.id in claimed.full
        self._barred_until = -inf
        if self.full:
            self._barred_until = now + FULL_SECONDS
        elif missed or self.id in claimed.barred:
            self._barred_until = now + due_in
        if self._freed:
            self.room_freed(now)

    def room_freed(self, now: float) -> None:
        """An attempt of this lane ended here; while an answer is awaited it may not know that yet."""
        self._freed = True
        if self.full:
            self.look_again(now)

    def look_again(self, now: float) -> None:
        """What was said of this lane does not hold any more."""
        self._barred_until = -inf
        if self.full or self.due_at < inf:
            self.full = False
            self.due_at = now


Place = tuple[float, int, Lane]
"""A lane's place in the queue: when it is ready; in which order lanes came; the lane."""


class Lanes:
    """The lanes with something to do. `room` is the number of attempts that this process may have under way.

    What a lane allows over all processes is known to the store; here it is asked at the right time. `policy` is None
    for a lane from which nothing may be taken now.
    """

    def __init__(self, room: int, policy: Callable[[str], LanePolicy | None], clock: Clock) -> None:
        self._total = room
        self._policy = policy
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._queue: list[Place] = []
        self._order = count()
        self._crowded_out: list[Place] = []
        self.in_flight = 0

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def resting(self) -> int:
        """How many have an open breaker, as last heard."""
        return sum(lane.resting for lane in self._lanes.values())

    def notice(self, lane_id: str, due_at: datetime | None) -> None:
        """A delivery of this lane is due then (None: at once)."""
        lane = self._lane(lane_id)
        delay = 0.0 if due_at is None else max(0.0, (due_at - self._clock.now()).total_seconds())
        lane.due_at = min(lane.due_at, self._clock.monotonic() + delay)
        self._enqueue(lane)

    def refresh(self, lane_id: str) -> None:
        """The subscription of this lane changed: what was said of it may not hold any more."""
        if (lane := self._lanes.get(lane_id)) is not None:
            lane.look_again(self._clock.monotonic())
            self._enqueue(lane)

    def take(self) -> list[ClaimRequest]:
        """Share the free room out over the lanes that are ready, in turns; `claimed` or `unclaimed` follows."""
        now = self._clock.monotonic()
        ready: list[tuple[Place, LanePolicy]] = []
        while self._queue and self._queue[0][0] <= now:
            place = at, _, lane = heapq.heappop(self._queue)
            if at != lane.queued_for:
                continue
            lane.queued_for = inf
            if lane.ready_at > now:
                self._enqueue(lane)
                continue
            if (policy := self._policy(lane.id)) is None:
                continue
            if lane.in_flight < policy.max_in_flight:
                ready.append((place, policy))
            else:
                lane.full, lane.due_at = True, inf
        return self._share(ready)

    def _share(self, ready: Sequence[tuple[Place, LanePolicy]]) -> list[ClaimRequest]:
        """So many slots for each; who gets none keeps its place in the queue."""
        wants = []
        fair = max(1, self._total // max(1, len(self._lanes)))
        reserve = int(self._total * RESERVED_SHARE)
        for number, (place, policy) in enumerate(ready):
            lane = place[2]
            free = self._total - self.in_flight
            share = min(policy.max_in_flight - lane.in_flight, ceil(free / (len(ready) - number)))
            slots = min(share, max(fair - lane.in_flight, free - reserve))
            if slots > 0:
                self.in_flight += slots
                wants.append(lane.want(slots, policy))
            else:
                self._crowded_out.append(place)
        return wants

    def claimed(self, wants: Sequence[ClaimRequest], claimed: ClaimResult) -> None:
        """What the store gave for these wants; each claim takes room until `ended`."""
        now, at = self._clock.monotonic(), self._clock.now()
        self._give_back(wants)
        given = Counter(claim.delivery.subscription_id for claim in claimed.claims)
        for lane_id, number in given.items():
            self._lane(lane_id).in_flight += number
            self.in_flight += number
        for want in wants:
            due_at = claimed.next_due.get(want.lane)
            due_in = inf if due_at is None else (due_at - at).total_seconds()
            self._lanes[want.lane].answered(claimed, now, due_in, given=want.lane in given)
        self._released(want.lane for want in wants)

    def unclaimed(self, wants: Sequence[ClaimRequest]) -> None:
        """The store did not answer."""
        self._give_back(wants)
        for want in wants:
            self.notice(want.lane, None)
        self._released(())

    def ended(self, lane_id: str) -> None:
        """What became of an attempt is recorded, or nobody's business any more: its room is free."""
        lane = self._lanes[lane_id]
        lane.in_flight -= 1
        self.in_flight -= 1
        lane.room_freed(self._clock.monotonic())
        self._released((lane_id,))

    def next_ready(self) -> float:
        """Seconds until a lane may be ready; `inf` when only an event can make one ready."""
        if self.in_flight >= self._total or not self._queue:
            return inf
        return max(0.0, self._queue[0][0] - self._clock.monotonic())

    def prune(self) -> None:
        """Forget the lanes from which nothing is expected; those with due deliveries are to be noticed anew."""
        for lane in [lane for lane in self._lanes.values() if lane.in_flight == 0 and lane.due_at == inf]:
            del self._lanes[lane.id]

    def _lane(self, lane_id: str) -> Lane:
        lane = self._lanes.get(lane_id)
        if lane is None:
            lane = self._lanes[lane_id] = Lane(lane_id)
        return lane

    def _give_back(self, wants: Sequence[ClaimRequest]) -> None:
        for want in wants:
            self._lanes[want.lane].in_flight -= want.limit
            self.in_flight -= want.limit

    def _released(self, lane_ids: Iterable[str]) -> None:
        """There is room again for those that were crowded out, and these lanes may be ready."""
        crowded_out, self._crowded_out = self._crowded_out, []
        for place in crowded_out:
            at, _, other = place
            other.queued_for = at
            heapq.heappush(self._queue, place)
        for lane_id in lane_ids:
            lane = self._lanes[lane_id]
            self._enqueue(lane)
            if lane.idle:
                del self._lanes[lane_id]

    def _enqueue(self, lane: Lane) -> None:
        """Queue a lane for when it is ready: never before now, so that it goes behind those that wait already."""
        at = max(lane.ready_at, self._clock.monotonic())
        if at < lane.queued_for:
            lane.queued_for = at
            heapq.heappush(self._queue, (at, next(self._order), lane))
