"""The lanes that are ready, and which of them gets room next."""

import heapq
from math import inf
from typing import Final

from hub.dispatch.groups import QUICKEST_FIRST, Bulkheads, Group, Pace
from hub.dispatch.lane import Lane, Turn

_PACES: Final = tuple(Pace)


class _Queue:
    """The ready lanes of one tenant, by pace. A place in a heap cannot be given up; `first` skips those that were."""

    __slots__ = ("heaps", "numbers")

    def __init__(self) -> None:
        self.numbers = [0 for _ in _PACES]
        self.heaps: list[list[tuple[Turn, Lane]]] = [[] for _ in _PACES]

    def first(self, pace: Pace) -> Lane:
        """The lane of this pace that has waited longest; there must be one."""
        heap = self.heaps[pace]
        while heap[0][1].queued_as is not pace or heap[0][0] is not heap[0][1].turn:
            heapq.heappop(heap)
        return heap[0][1]


class ReadyLanes:
    """Gives the next lane: of the tenants that may have room, one with the least under way; of its lanes, the one that
    has waited longest.

    Each operation costs the same however many lanes and tenants wait.
    """

    def __init__(self, bulkheads: Bulkheads) -> None:
        self._bulkheads = bulkheads
        self._queues: dict[Group, _Queue] = {}
        # The tenants with ready lanes of each pace, by how much they have under way. The sum of that is at most the
        # room, so there are few different numbers, and the least is found by looking at all of them.
        self._by_load: tuple[dict[int, dict[Group, None]], ...] = tuple({} for _ in _PACES)
        self._active: set[Group] = set()
        """Tenants with ready lanes or attempts under way."""

    @property
    def fair_share(self) -> int:
        """How much each tenant may have under way in any case. There is always a share for one that may come."""
        return max(1, self._bulkheads.room // (len(self._active) + 1))

    @property
    def tenants(self) -> int:
        """How many tenants have ready lanes."""
        return len(self._queues)

    def number(self, tenant: Group) -> int:
        """How many lanes of a tenant are ready."""
        queue = self._queues.get(tenant)
        return sum(queue.numbers) if queue else 0

    def add(self, lane: Lane, pace: Pace) -> None:
        """A lane with a turn is ready, or has another pace than it had."""
        if lane.queued_as is not None:
            self.remove(lane)
        tenant = lane.tenant
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = _Queue()
            self._active.add(tenant)
        lane.queued_as = pace
        heapq.heappush(queue.heaps[pace], (lane.turn, lane))
        queue.numbers[pace] += 1
        if queue.numbers[pace] == 1:
            self._by_load[pace].setdefault(tenant.in_flight, {})[tenant] = None

    def remove(self, lane: Lane) -> None:
        """A lane is not ready any more."""
        pace, tenant = lane.queued_as, lane.tenant
        if pace is None:
            return
        lane.queued_as = None
        queue = self._queues[tenant]
        queue.numbers[pace] -= 1
        if queue.numbers[pace] == 0:
            queue.heaps[pace].clear()
            self._unlist(pace, tenant)
            if not any(queue.numbers):
                del self._queues[tenant]
                self._note(tenant)

    def load(self, tenant: Group, number: int) -> None:
        """So many attempts of a tenant more, or less, are under way."""
        queue = self._queues.get(tenant)
        if queue is None:
            tenant.in_flight += number
            self._note(tenant)
            return
        listed = [pace for pace in _PACES if queue.numbers[pace]]
        for pace in listed:
            self._unlist(pace, tenant)
        tenant.in_flight += number
        for pace in listed:
            self._by_load[pace].setdefault(tenant.in_flight, {})[tenant] = None

    def next(self) -> Lane | None:
        """The lane that gets room next; None where none may have any."""
        bulkheads = self._bulkheads
        if not self._queues or bulkheads.in_flight >= bulkheads.room:
            return None
        first: Lane | None = None
        least, is_free, fair, together = inf, True, self.fair_share, bulkheads.in_flight
        # A limit holds for lanes of its pace together with all slower ones.
        for pace in QUICKEST_FIRST:
            is_free = is_free and together < bulkheads.limits[pace]
            together -= bulkheads.by_pace[pace]
            if by_load := self._by_load[pace]:
                load = min(by_load)
                if load <= least and (is_free or load < fair):
                    lane = self._queues[next(iter(by_load[load]))].first(pace)
                    if first is None or load < least or lane.turn < first.turn:
                        first, least = lane, load
        return first

    def _note(self, tenant: Group) -> None:
        if tenant.in_flight or tenant in self._queues:
            self._active.add(tenant)
        else:
            self._active.discard(tenant)

    def _unlist(self, pace: Pace, tenant: Group) -> None:
        by_load = self._by_load[pace]
        tenants = by_load[tenant.in_flight]
        del tenants[tenant]
        if not tenants:
            del by_load[tenant.in_flight]
