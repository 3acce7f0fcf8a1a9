"""Which lanes this process asks the store for next: its room for attempts is shared out over them, in turns."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from math import ceil, inf
from typing import Final

from hub.clock import Clock
from hub.dispatch.groups import Bulkheads, Group, Groups, KnownGroups, Pace
from hub.dispatch.lane import Lane, Turn
from hub.dispatch.ready_lanes import ReadyLanes
from hub.stores.base import ClaimRequest, ClaimResult, LanePolicy

REMEMBERED: Final = 20_000
"""Of how many lanes with nothing to do it is remembered how soon they give room back."""


def _alone(lane_id: str) -> Groups:
    return Groups("", lane_id)


class Lanes:
    """The lanes with something to do. `room` is the number of attempts that this process may have under way.

    Room is shared over tenants first and then over their lanes, and a part of it is kept from lanes that give none back
    for long; see docs/decisions/0029. What a lane allows over all processes is known to the store (see
    docs/decisions/0010); here it is asked at the right time. `policy` gives None for a lane whose subscription is
    disabled; `groups` gives the tenant and the host of a lane, by default one tenant for all and a host for each.

    Example:

        lanes = Lanes(256, policy, clock)
        lanes.notify("sub_1", None)
        requests = lanes.take()
        lanes.answered(requests, await queue.claim(requests, leases))
        lanes.end_attempt("sub_1", 0.2)  # for each claim that was given, when its attempt has ended
    """

    def __init__(
        self,
        room: int,
        policy: Callable[[str], LanePolicy | None],
        clock: Clock,
        groups: Callable[[str], Groups] = _alone,
    ) -> None:
        self.changed = asyncio.Event()
        """Set by everything that may make a lane ready, or ready sooner. Clear it before `take`, then wait for it."""
        self._bulkheads = Bulkheads(room)
        self._policy = policy
        self._groups = groups
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._tenants = KnownGroups()
        self._hosts = KnownGroups()
        # Lanes that will be ready. A place in a heap cannot be moved. A lane that is ready sooner gets a second place;
        # the old one is skipped when it comes to the front, because it is not the turn of its lane any more.
        self._timers: list[tuple[Turn, Lane]] = []
        self._order = count(1)
        self._ready = ReadyLanes(self._bulkheads)
        self._parked: dict[Group, deque[Lane]] = {}
        """Lanes that are ready, but whose host has as much under way as it may have. They keep their turns."""
        self._seconds: dict[str, float] = {}
        """How long attempts of lanes that were forgotten kept their room."""

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def in_flight(self) -> int:
        """How many attempts are under way, with the room that claims under way want to fill."""
        return self._bulkheads.in_flight

    @property
    def breakers_open(self) -> int:
        """How many lanes had an open breaker when the store last spoke of them."""
        return sum(lane.breaker_open for lane in self._lanes.values())

    # -- what happens to lanes ---------------------------------------------------------------------------------------

    def notify(self, lane_id: str, due_at: datetime | None) -> None:
        """A delivery of this lane is due then (None: at once)."""
        lane = self._lane(lane_id)
        delay = 0.0 if due_at is None else max(0.0, (due_at - self._clock.now()).total_seconds())
        now = self._clock.monotonic()
        lane.notify(now + delay)
        self._enqueue(lane, now)
        self.changed.set()

    def refresh(self, lane_id: str) -> None:
        """The subscription of this lane changed: what was said of it may not hold any more."""
        if (lane := self._lanes.get(lane_id)) is not None:
            now = self._clock.monotonic()
            self._regroup(lane)
            lane.change(now)
            self._enqueue(lane, now)
            self.changed.set()

    def end_attempt(self, lane_id: str, seconds: float = 0.0) -> None:
        """An attempt of this lane is recorded, or given up: the room that it kept for so long is free."""
        # It is there: a lane with something under way is neither dormant nor idle, so it is never forgotten.
        lane, now = self._lanes[lane_id], self._clock.monotonic()
        self._occupy(lane, -1)
        lane.end_attempt(now, seconds)
        self._settle(lane, now)
        if lane.queued_as is not None and (pace := lane.pace(now)) is not lane.queued_as:
            self._ready.add(lane, pace)
        self.changed.set()

    def prune(self) -> None:
        """Forget the lanes from which nothing is expected; those with due deliveries are to be notified again."""
        for lane in [lane for lane in self._lanes.values() if lane.is_dormant]:
            self._forget(lane)

    # -- asking the store --------------------------------------------------------------------------------------------

    def take(self) -> list[ClaimRequest]:
        """Share the free room out over the lanes that are ready, in turns; `answered` or `unanswered` must follow."""
        now = self._clock.monotonic()
        self._mature(now)
        requests = []
        while (lane := self._ready.next()) is not None:
            # A lane that was put among the ready ones may have given no room back since.
            if (pace := lane.pace(now)) < (lane.queued_as or pace):
                self._ready.add(lane, pace)
            elif lane.host.in_flight >= self._bulkheads.host_limit:
                self._ready.remove(lane)
                self._parked.setdefault(lane.host, deque()).append(lane)
            elif (policy := self._admitted(lane, now)) is not None:
                requests.append(self._ask(lane, pace, policy, now))
        return requests

    def answered(self, requests: Sequence[ClaimRequest], result: ClaimResult) -> None:
        """What the store gave for these requests; each claim takes room until `end_attempt`."""
        now, at = self._clock.monotonic(), self._clock.now()
        # Not only what was asked for: claims whose answer was lost come back with the next one.
        given: dict[str, int] = {}
        for claim in result.claims:
            lane_id = claim.delivery.lane
            given[lane_id] = given.get(lane_id, 0) + 1
        asked = {request.lane: request.limit for request in requests}
        for lane_id, number in given.items():
            self._occupy(self._lane(lane_id), number - asked.get(lane_id, 0))
        for request in requests:
            lane = self._lanes[request.lane]
            if lane.id not in given:
                self._occupy(lane, -request.limit)
            due_at = result.next_due.get(lane.id)
            due_in = inf if due_at is None else (due_at - at).total_seconds()
            lane.answered(result, now, due_in, given=lane.id in given)
            self._settle(lane, now)

    def unanswered(self, requests: Sequence[ClaimRequest]) -> None:
        """The store did not answer these requests."""
        now = self._clock.monotonic()
        for request in requests:
            lane = self._lanes[request.lane]
            self._occupy(lane, -request.limit)
            lane.unanswered(now)
            self._settle(lane, now)

    def bar(self, request: ClaimRequest, seconds: float) -> None:
        """This request cannot be answered: leave its lane alone for so long, or until its subscription changes."""
        lane, now = self._lanes[request.lane], self._clock.monotonic()
        self._occupy(lane, -request.limit)
        lane.bar(now + seconds)
        self._settle(lane, now)

    def overdue_seconds(self) -> float:
        """For how long the lane whose turn it is has been ready; 0 when none may have room."""
        lane = self._ready.next()
        return 0.0 if lane is None else self._clock.monotonic() - lane.turn[0]

    def next_ready(self) -> float:
        """Seconds until a lane may be ready; `inf` when only an event can make one ready."""
        now = self._clock.monotonic()
        # Without room it does not matter what is ready; the end of an attempt sets `changed`.
        if self._bulkheads.in_flight >= self._bulkheads.room:
            return inf
        if self._ready.next() is not None:
            return 0.0
        return max(0.0, self._timers[0][0][0] - now) if self._timers else inf

    # -- the turns and the shares ------------------------------------------------------------------------------------

    def _mature(self, now: float) -> None:
        """Put the lanes whose time has come among those that are ready."""
        while self._timers and self._timers[0][0][0] <= now:
            turn, lane = heapq.heappop(self._timers)
            if turn is lane.turn:
                self._ready.add(lane, lane.pace(now))

    def _admitted(self, lane: Lane, now: float) -> LanePolicy | None:
        """The policy of a lane whose turn it is; None, and the lane is not ready any more, where it lets nothing
        start."""
        policy = self._policy(lane.id)
        if policy is not None and lane.in_flight < self._cap(policy):
            return policy
        self._ready.remove(lane)
        if policy is None:
            lane.hold()
        else:
            lane.fill(now)
        # Another lane may have what was free for this one.
        self._unpark(lane.host)
        return None

    def _ask(self, lane: Lane, pace: Pace, policy: LanePolicy, now: float) -> ClaimRequest:
        # What is left for new lanes is for the first attempt of each; from then on they are as the other unknown ones.
        pace = Pace.UNKNOWN if pace is Pace.NEW else pace
        slots = min(self._share(lane, pace), self._cap(policy) - lane.in_flight)
        self._ready.remove(lane)
        request = lane.ask(slots, policy, now)
        if lane.counted_as is not pace:
            self._bulkheads.occupy(lane.counted_as, -lane.in_flight)
            self._bulkheads.occupy(pace, lane.in_flight)
            lane.counted_as = pace
        self._occupy(lane, slots)
        return request

    def _cap(self, policy: LanePolicy) -> int:
        return min(policy.max_in_flight, self._bulkheads.lane_limit)

    def _share(self, lane: Lane, pace: Pace) -> int:
        """How much room a lane may have, at least 1, whose turn it is."""
        free = self._bulkheads.room - self._bulkheads.in_flight
        below_fair = self._ready.fair_share - lane.tenant.in_flight
        # Equal parts of what is left for all tenants that are left: what one cannot use falls to the next ones. A
        # tenant with less than its share may have more, to come up to it. The same for the lanes of a tenant.
        of_tenant = max(ceil(free / self._ready.tenants), below_fair)
        of_lane = ceil(of_tenant / self._ready.number(lane.tenant))
        allowed = max(self._bulkheads.free(pace), below_fair)
        return max(1, min(free, of_lane, allowed, self._bulkheads.host_limit - lane.host.in_flight))

    def _occupy(self, lane: Lane, number: int) -> None:
        """Let a lane have so much more room, or less."""
        if number == 0:
            return
        self._bulkheads.occupy(lane.counted_as, number)
        lane.in_flight += number
        lane.host.in_flight += number
        self._ready.load(lane.tenant, number)
        if number < 0 and self._parked:
            self._unpark(lane.host)

    def _unpark(self, host: Group) -> None:
        """Put lanes that wait for room of their host among those that are ready, as many as may start now."""
        if (parked := self._parked.get(host)) is None:
            return
        now = self._clock.monotonic()
        for _ in range(min(len(parked), self._bulkheads.host_limit - host.in_flight)):
            lane = parked.popleft()
            self._ready.add(lane, lane.pace(now))
        if not parked:
            del self._parked[host]

    def _settle(self, lane: Lane, now: float) -> None:
        """Queue a lane whose state has changed, or forget it when it is idle."""
        self._enqueue(lane, now)
        if lane.is_idle:
            self._forget(lane)

    def _enqueue(self, lane: Lane, now: float) -> None:
        """Queue a lane for when it is ready: never before now, so that it goes behind those that wait already."""
        ready_at = lane.state.ready_at
        if ready_at < lane.turn[0] and (at := max(ready_at, now)) < lane.turn[0]:
            lane.turn = at, next(self._order)
            if at <= now:
                self._ready.add(lane, lane.pace(now))
            else:
                heapq.heappush(self._timers, (lane.turn, lane))

    # -- which lanes there are ---------------------------------------------------------------------------------------

    def _lane(self, lane_id: str) -> Lane:
        lane = self._lanes.get(lane_id)
        if lane is None:
            names = self._groups(lane_id)
            tenant, host = self._tenants.join(names.tenant), self._hosts.join(names.host)
            lane = self._lanes[lane_id] = Lane(lane_id, tenant, host, self._seconds.pop(lane_id, None))
        return lane

    def _forget(self, lane: Lane) -> None:
        del self._lanes[lane.id]
        self._tenants.leave(lane.tenant)
        self._hosts.leave(lane.host)
        if lane.seconds is not None:
            self._seconds[lane.id] = lane.seconds
            if len(self._seconds) > REMEMBERED:
                del self._seconds[next(iter(self._seconds))]

    def _regroup(self, lane: Lane) -> None:
        """Move a lane to the groups that it belongs to now, with what it has under way."""
        names = self._groups(lane.id)
        if names == (lane.tenant.name, lane.host.name):
            return
        number, was_ready = lane.in_flight, lane.queued_as is not None
        if lane in (parked := self._parked.get(lane.host, deque())):
            parked.remove(lane)
            was_ready = True
        self._ready.remove(lane)
        self._occupy(lane, -number)
        self._tenants.leave(lane.tenant)
        self._hosts.leave(lane.host)
        lane.tenant, lane.host = self._tenants.join(names.tenant), self._hosts.join(names.host)
        self._occupy(lane, number)
        if was_ready:
            self._ready.add(lane, lane.pace(self._clock.monotonic()))
