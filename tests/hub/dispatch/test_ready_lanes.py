"""Which of the ready lanes gets room next."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.dispatch.groups import Bulkheads, Group, Pace
from hub.dispatch.lane import Lane
from hub.dispatch.ready_lanes import ReadyLanes

ROOM = 16


@dataclass
class Model:
    """The rule as it is written down, applied to all lanes one after the other."""

    bulkheads: Bulkheads = field(default_factory=lambda: Bulkheads(ROOM))
    ready: list[tuple[Lane, Pace]] = field(default_factory=list)
    tenants: Sequence[Group] = field(default_factory=lambda: [Group(name) for name in "abc"])
    order: int = 0

    def __post_init__(self) -> None:
        self.lanes = ReadyLanes(self.bulkheads)

    def happens(self, event: str, number: int, pace: Pace) -> None:
        tenant = self.tenants[number % len(self.tenants)]
        if event == "ready":
            lane = Lane(str(number), tenant, Group("host"))
            self.order += 1
            lane.turn = 0.0, self.order
            self.ready.append((lane, pace))
            self.lanes.add(lane, pace)
        elif event == "other pace" and self.ready:
            lane, _ = self.ready.pop(number % len(self.ready))
            self.ready.append((lane, pace))
            self.lanes.add(lane, pace)
        elif event == "gone" and self.ready:
            self.lanes.remove(self.ready.pop(number % len(self.ready))[0])
        elif event == "starts" and self.bulkheads.in_flight < ROOM:
            self.lanes.load(tenant, 1)
            self.bulkheads.occupy(pace, 1)
        elif event == "ends" and tenant.in_flight:
            self.lanes.load(tenant, -1)
            self.bulkheads.occupy(max(Pace, key=lambda one: self.bulkheads.by_pace[one]), -1)

    def allowed(self) -> list[tuple[Lane, Pace]]:
        active = {lane.tenant.name for lane, _ in self.ready} | {one.name for one in self.tenants if one.in_flight}
        fair = max(1, ROOM // (len(active) + 1))
        assert self.lanes.fair_share == fair
        return [
            (lane, pace)
            for lane, pace in self.ready
            if self.bulkheads.in_flight < ROOM and (lane.tenant.in_flight < fair or self.bulkheads.free(pace) > 0)
        ]

    def check(self) -> None:
        found, allowed = self.lanes.next(), self.allowed()
        assert self.lanes.tenants == len({lane.tenant for lane, _ in self.ready})
        for tenant in self.tenants:
            assert self.lanes.number(tenant) == sum(lane.tenant is tenant for lane, _ in self.ready)
        if found is None:
            assert allowed == []
            return
        (pace,) = (pace for lane, pace in allowed if lane is found)
        assert found.tenant.in_flight == min(lane.tenant.in_flight for lane, _ in allowed)
        rivals = [lane for lane, other in allowed if lane.tenant is found.tenant and other is pace]
        assert found.turn == min(lane.turn for lane in rivals)


EVENTS = ("ready", "ready", "other pace", "gone", "starts", "starts", "ends")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 20), st.sampled_from(Pace)), max_size=60))
def test_it_is_one_of_the_tenant_with_the_least_under_way_that_has_waited_longest(
    steps: list[tuple[str, int, Pace]],
) -> None:
    model = Model()
    for event, number, pace in steps:
        model.happens(event, number, pace)
        model.check()
