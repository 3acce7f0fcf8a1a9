"""Which lanes this process asks the store for next: its room for attempts is shared out over them, in turns."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from math import ceil, inf
from typing import Final

from hub.clock import Clock
from hub.dispatch.lane import NO_TURN, Lane, Turn
from hub.stores.base import ClaimRequest, ClaimResult, LanePolicy

RESERVED_SHARE: Final = 0.25
"""The part of all room that is kept for lanes which hold less than their fair share."""


class Lanes:
    """The lanes with something to do. `room` is the number of attempts that this process may have under way.

    What a lane allows over all processes is known to the store (see docs/decisions/0010); here it is asked at the right
    time. `policy` gives None for a lane whose subscription is disabled.

    Example:

        lanes = Lanes(256, policy, clock)
        lanes.notify("sub_1", None)
        requests = lanes.take()
        lanes.answered(requests, await queue.claim(requests, leases))
        lanes.end_attempt("sub_1")  # for each claim that was given, when its attempt has ended
    """

    def __init__(self, room: int, policy: Callable[[str], LanePolicy | None], clock: Clock) -> None:
        self.changed = asyncio.Event()
        """Set by everything that may make a lane ready, or ready sooner. Clear it before `take`, then wait for it."""
        self.in_flight = 0
        self._room = room
        self._reserve = int(room * RESERVED_SHARE)
        self._policy = policy
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        # A place in a heap cannot be moved. A lane that is ready sooner gets a second place; the old one is skipped
        # when it comes to the front, because it is not the turn of its lane any more.
        self._queue: list[tuple[Turn, Lane]] = []
        self._order = count(1)
        # These lanes are ready, but have to leave what room there is to others. They keep their turns, and are out of
        # the queue until more room is free, because they would be looked at again before all others.
        self._over_share: list[Lane] = []

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def breakers_open(self) -> int:
        """How many lanes had an open breaker when the store last spoke of them."""
        return sum(lane.breaker_open for lane in self._lanes.values())

    # -- what happens to lanes ---------------------------------------------------------------------------------------

    def notify(self, lane_id: str, due_at: datetime | None) -> None:
        """A delivery of this lane is due then (None: at once)."""
        lane = self._lane(lane_id)
        delay = 0.0 if due_at is None else max(0.0, (due_at - self._clock.now()).total_seconds())
        lane.notify(self._clock.monotonic() + delay)
        self._enqueue(lane)
        self.changed.set()

    def refresh(self, lane_id: str) -> None:
        """The subscription of this lane changed: what was said of it may not hold any more."""
        if (lane := self._lanes.get(lane_id)) is not None:
            lane.change(self._clock.monotonic())
            self._enqueue(lane)
            self.changed.set()

    def end_attempt(self, lane_id: str) -> None:
        """An attempt of this lane is recorded, or given up: its room is free."""
        # It is there: a lane with something under way is neither dormant nor idle, so it is never forgotten.
        lane = self._lanes[lane_id]
        lane.end_attempt(self._clock.monotonic())
        self.in_flight -= 1
        self._settle(lane)
        self._restore_over_share()
        self.changed.set()

    def prune(self) -> None:
        """Forget the lanes from which nothing is expected; those with due deliveries are to be notified again."""
        for lane in [lane for lane in self._lanes.values() if lane.is_dormant]:
            del self._lanes[lane.id]

    # -- asking the store --------------------------------------------------------------------------------------------

    def take(self) -> list[ClaimRequest]:
        """Share the free room out over the lanes that are ready, in turns; `answered` or `unanswered` must follow."""
        requests = []
        fair, entitled = self._fair_share(), self._pop_entitled()
        for number, (lane, policy) in enumerate(entitled):
            free = self._room - self.in_flight
            # An equal part of what is left, for each lane that is left: what one cannot use falls to the next ones. The
            # reserve is used only up to the fair share, so that a lane which gets work later finds room at once.
            share = min(policy.max_in_flight - lane.in_flight, ceil(free / (len(entitled) - number)))
            slots = min(share, max(fair - lane.in_flight, free - self._reserve))
            if slots > 0:
                lane.turn = NO_TURN
                self.in_flight += slots
                requests.append(lane.ask(slots, policy))
            else:
                self._over_share.append(lane)
        return requests

    def answered(self, requests: Sequence[ClaimRequest], result: ClaimResult) -> None:
        """What the store gave for these requests; each claim takes room until `end_attempt`."""
        now, at = self._clock.monotonic(), self._clock.now()
        self._give_back(requests)
        # Not only what was asked for: claims whose answer was lost come back with the next one.
        given = Counter(claim.delivery.subscription_id for claim in result.claims)
        for lane_id, number in given.items():
            self._lane(lane_id).in_flight += number
            self.in_flight += number
        for request in requests:
            lane = self._lanes[request.lane]
            due_at = result.next_due.get(lane.id)
            due_in = inf if due_at is None else (due_at - at).total_seconds()
            lane.answered(result, now, due_in, given=lane.id in given)
            self._settle(lane)
        self._restore_over_share()

    def unanswered(self, requests: Sequence[ClaimRequest]) -> None:
        """The store did not answer these requests."""
        self._give_back(requests)
        for request in requests:
            lane = self._lanes[request.lane]
            lane.unanswered(self._clock.monotonic())
            self._settle(lane)
        self._restore_over_share()

    def next_ready(self) -> float:
        """Seconds until a lane may be ready; `inf` when only an event can make one ready."""
        # Without room it does not matter what is ready; the end of an attempt sets `changed`.
        if self.in_flight >= self._room or not self._queue:
            return inf
        return max(0.0, self._queue[0][0][0] - self._clock.monotonic())

    # -- the queue and the shares ------------------------------------------------------------------------------------

    def _pop_entitled(self) -> list[tuple[Lane, LanePolicy]]:
        """Take the ready lanes that may have room out of the queue, no more of them than there is room for."""
        now = self._clock.monotonic()
        free = self._room - self.in_flight
        limit = self._entitled_below()
        entitled: list[tuple[Lane, LanePolicy]] = []
        while len(entitled) < free and self._queue and self._queue[0][0][0] <= now:
            turn, lane = heapq.heappop(self._queue)
            if turn is not lane.turn:
                continue
            if (policy := self._policy(lane.id)) is None:
                lane.hold()
                lane.turn = NO_TURN
            elif lane.in_flight >= policy.max_in_flight:
                lane.fill(now)
                lane.turn = NO_TURN
            elif lane.in_flight < limit:
                entitled.append((lane, policy))
            else:
                self._over_share.append(lane)
        return entitled

    def _entitled_below(self) -> float:
        """A lane with less than this under way may have room now.

        What is free beyond the reserve is for every lane; the reserve is for those below their fair share.
        """
        return inf if self._room - self.in_flight > self._reserve else self._fair_share()

    def _fair_share(self) -> int:
        return max(1, self._room // max(1, len(self._lanes)))

    def _restore_over_share(self) -> None:
        """Room became free: those that may have some of it now go back into the queue."""
        if not self._over_share:
            return
        limit = self._entitled_below()
        over_share, self._over_share = self._over_share, []
        for lane in over_share:
            if lane.in_flight < limit:
                heapq.heappush(self._queue, (lane.turn, lane))
            else:
                self._over_share.append(lane)

    def _settle(self, lane: Lane) -> None:
        """Queue a lane whose state has changed, or forget it when it is idle."""
        self._enqueue(lane)
        if lane.is_idle:
            del self._lanes[lane.id]

    def _enqueue(self, lane: Lane) -> None:
        """Queue a lane for when it is ready: never before now, so that it goes behind those that wait already."""
        ready_at = lane.state.ready_at
        if ready_at < lane.turn[0] and (at := max(ready_at, self._clock.monotonic())) < lane.turn[0]:
            lane.turn = at, next(self._order)
            heapq.heappush(self._queue, (lane.turn, lane))

    def _give_back(self, requests: Sequence[ClaimRequest]) -> None:
        for request in requests:
            self._lanes[request.lane].in_flight -= request.limit
            self.in_flight -= request.limit

    def _lane(self, lane_id: str) -> Lane:
        lane = self._lanes.get(lane_id)
        if lane is None:
            lane = self._lanes[lane_id] = Lane(lane_id)
        return lane
