"""The states of a lane: what takes it from one to the next, and that nothing else does."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.dispatch.groups import Groups
from hub.dispatch.lane import FULL_SECONDS, Asked, Barred, Full, Held, Idle, Lane, State, Waiting
from hub.dispatch.lanes import Lanes
from hub.stores.base import ClaimRequest, ClaimResult, LanePolicy
from hub.testing.clock import ManualClock
from tests.hub.dispatch.test_lanes import claims

NOW = 10.0
SOON = 15.0
LATER = 20.0

# -- one state --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "event", "following"),
    [
        (Idle(), "notified", Waiting(SOON)),
        (Idle(), "freed", Idle()),
        (Idle(), "changed", Idle()),
        (Waiting(LATER), "notified", Waiting(SOON)),
        (Waiting(NOW), "notified", Waiting(NOW)),
        (Waiting(LATER), "freed", Waiting(LATER)),
        (Waiting(LATER), "changed", Waiting(NOW)),
        (Waiting(0.0), "changed", Waiting(0.0)),
        (Barred(LATER), "notified", Barred(LATER)),
        (Barred(LATER), "freed", Barred(LATER)),
        (Barred(LATER), "changed", Waiting(NOW)),
        (Full(NOW), "notified", Full(NOW, SOON)),
        (Full(LATER), "notified", Full(LATER, LATER)),
        (Full(LATER), "freed", Waiting(NOW)),
        (Full(LATER), "changed", Waiting(NOW)),
        (Held(), "notified", Waiting(SOON)),
        (Held(), "freed", Held()),
        (Held(), "changed", Waiting(NOW)),
        (Asked(), "notified", Asked(SOON)),
        (Asked(NOW), "notified", Asked(NOW)),
        (Asked(), "freed", Asked(was_freed=True)),
        (Asked(), "changed", Asked(was_changed=True)),
    ],
    ids=repr,
)
def test_each_event_takes_each_state_to_the_next(state: State, event: str, following: State) -> None:
    happens: dict[str, Callable[[], State]] = {
        "notified": lambda: state.notified(SOON),
        "freed": lambda: state.freed(NOW),
        "changed": lambda: state.changed(NOW),
    }
    assert happens[event]() == following


@pytest.mark.parametrize(
    ("asked", "due_at", "said", "following"),
    [
        (Asked(), inf, "", Idle()),
        (Asked(), LATER, "", Waiting(LATER)),
        (Asked(SOON), inf, "", Waiting(SOON)),
        (Asked(SOON), LATER, "", Waiting(SOON)),
        (Asked(), LATER, "barred", Barred(LATER)),
        (Asked(SOON), LATER, "barred", Barred(LATER)),
        (Asked(was_changed=True), LATER, "barred", Waiting(NOW)),
        (Asked(was_changed=True), inf, "", Idle()),
        (Asked(), inf, "full", Full(NOW + FULL_SECONDS)),
        (Asked(SOON), inf, "full", Full(NOW + FULL_SECONDS, SOON)),
        (Asked(was_freed=True), inf, "full", Waiting(NOW)),
        (Asked(was_freed=True), LATER, "barred", Barred(LATER)),
    ],
    ids=repr,
)
def test_an_answer_counts_with_what_happened_while_it_was_awaited(
    asked: Asked, due_at: float, said: str, following: State
) -> None:
    assert asked.answered(NOW, due_at, full=said == "full", barred=said == "barred") == following


# -- random walks -----------------------------------------------------------------------------------------------------

DRAWN = {
    (Idle, Waiting),
    (Waiting, Asked),
    (Waiting, Held),
    (Waiting, Full),
    (Asked, Idle),
    (Asked, Waiting),
    (Asked, Barred),
    (Asked, Full),
    (Full, Waiting),
    (Barred, Waiting),
    (Held, Waiting),
    # What is barred or full is ready again when its time has come, and goes on as one that is waiting.
    *((state, following) for state in (Barred, Full) for following in (Asked, Held, Full)),
}
CAP = 5
ROOM = 12
EVENTS = (
    "due",
    "due later",
    "take",
    "answer",
    "fail",
    "end",
    "wait",
    "toggle",
    "elsewhere",
    "bar",
    "sweep",
    "lost",
    "move",
)


@dataclass
class World:
    """Lanes of one process on a store that it shares with others, which have `elsewhere` under way."""

    clock: ManualClock = field(default_factory=ManualClock)
    due: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in "abcd"})
    under_way: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Claims whose answer was lost."""
    barred_until: dict[str, float] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    """Lanes whose target is at another host than at first."""
    asked: list[ClaimRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lanes = Lanes(ROOM, self.policy, self.clock, self.groups)

    def policy(self, lane: str) -> LanePolicy | None:
        return None if lane in self.disabled else LanePolicy(CAP)

    def groups(self, lane: str) -> Groups:
        return Groups("t1" if lane in "ab" else "t2", "h1" if (lane in "bc") != (lane in self.moved) else "h2")

    def happens(self, event: str, lane: str) -> None:
        now = self.clock.monotonic()
        if event in ("due", "due later"):
            at = now + (3.0 if event == "due later" else 0.0)
            self.due[lane].append(at)
            self.lanes.notify(lane, self.instant(at))
        elif event == "take" and not self.asked:
            before = self.lanes.in_flight
            self.asked = self.lanes.take()
            assert self.lanes.in_flight <= max(before, ROOM)
        elif event == "answer":
            self.answer()
        elif event in ("fail", "lost"):
            self.fail(lane, lose=event == "lost")
        elif event == "end" and self.under_way[lane]:
            self.under_way[lane] -= 1
            self.lanes.end_attempt(lane)
        elif event == "wait":
            self.clock.advance(1.0)
        elif event == "toggle":
            self.disabled ^= {lane}
            self.lanes.refresh(lane)
        elif event == "move":
            self.moved ^= {lane}
            self.lanes.refresh(lane)
        elif event == "elsewhere":
            self.elsewhere[lane] = CAP - self.elsewhere[lane]
        elif event == "bar":
            self.barred_until[lane] = now + 2.0
        elif event == "sweep":
            self.sweep()

    def fail(self, lane: str, *, lose: bool) -> None:
        """The store does not answer; with `lose` it has given a claim of this lane all the same."""
        if self.asked:
            self.lanes.unanswered(self.asked)
            if lose and self.due[lane] and self.free(lane) > 0:
                self.due[lane].pop(0)
                self.lost[lane] += 1
        self.asked = []

    def answer(self) -> None:
        now, due, full, barred = self.clock.monotonic(), {}, set(), set()
        given = self.lost + Counter({request.lane: 0 for request in self.asked})
        self.lost.clear()
        self.under_way.update(given)
        for request in self.asked:
            lane = request.lane
            bar = self.barred_until.get(lane, 0.0)
            ready = [at for at in sorted(self.due[lane]) if at <= now]
            taken = [] if bar > now else ready[: max(0, min(request.limit, self.free(lane)))]
            for at in taken:
                self.due[lane].remove(at)
            given[lane] += len(taken)
            self.under_way[lane] += len(taken)
            if left := sorted(self.due[lane]):
                if bar > now:
                    due[lane] = self.instant(max(bar, left[0]))
                    barred |= {lane}
                elif left[0] <= now and self.free(lane) <= 0:
                    full |= {lane}
                else:
                    due[lane] = self.instant(left[0])
        result = tuple(claim for lane, number in given.items() for claim in claims(lane, number))
        self.lanes.answered(self.asked, ClaimResult(result, due, frozenset(full), barred=frozenset(barred)))
        self.asked = []

    def sweep(self) -> None:
        self.lanes.prune()
        for lane, instants in self.due.items():
            if instants:
                self.lanes.notify(lane, self.instant(min(instants)))

    def free(self, lane: str) -> int:
        return CAP - self.under_way[lane] - self.elsewhere[lane] - self.lost[lane]

    def instant(self, at: float) -> datetime:
        return self.clock.now() + timedelta(seconds=at - self.clock.monotonic())

    # -- what is to hold at any time ---------------------------------------------------------------------------------

    def check(self) -> None:
        asked = {request.lane: request.limit for request in self.asked}
        known = self.lanes._lanes
        assert self.lanes.in_flight == self.under_way.total() + sum(asked.values())
        for name, number in self.under_way.items():
            assert number == 0 or known[name].in_flight == number + asked.get(name, 0)
        for lane in known.values():
            assert isinstance(lane.state, Asked) == (lane.id in asked)
            assert not lane.is_idle, "an idle lane is forgotten"
            self.check_turn(lane)
        self.check_groups()

    def check_groups(self) -> None:
        known, lanes = self.lanes, list(self.lanes._lanes.values())
        for lane in lanes:
            for group, groups in ((lane.tenant, known._tenants.by_name), (lane.host, known._hosts.by_name)):
                assert groups[group.name] is group
                members = [one for one in lanes if group in (one.tenant, one.host)]
                assert (group.lanes, group.in_flight) == (len(members), sum(one.in_flight for one in members))
        assert known._tenants.by_name.keys() | known._hosts.by_name.keys() == {
            g.name for one in lanes for g in (one.tenant, one.host)
        }

    def check_turn(self, lane: Lane) -> None:
        places = [turn for turn, other in self.lanes._timers if other is lane and turn is lane.turn]
        parked = [other for other in self.lanes._parked.get(lane.host, ()) if other is lane]
        number = len(places) + len(parked) + (lane.queued_as is not None)
        assert number == (lane.state.ready_at < inf), "what may be ready has one turn"
        assert max(lane.turn[0], self.clock.monotonic()) >= lane.state.ready_at, "its turn is not before it is ready"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from("abcd")), max_size=150))
def test_a_lane_moves_as_it_is_drawn_and_has_a_turn_when_it_may_be_ready(steps: list[tuple[str, str]]) -> None:
    world = World()
    for event, name in steps:
        before = {lane.id: type(lane.state) for lane in world.lanes._lanes.values()}
        world.happens(event, name)
        after = {lane.id: type(lane.state) for lane in world.lanes._lanes.values()}
        moves = {(before.get(lane, Idle), state) for lane, state in after.items()}
        assert {(one, other) for one, other in moves if one is not other} <= DRAWN
        world.check()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from("abcd")), max_size=100))
def test_what_is_due_is_asked_for_after_anything_without_a_sweep(steps: list[tuple[str, str]]) -> None:
    world = World()
    for event, name in (step for step in steps if step[0] != "sweep"):
        world.happens(event, name)
    world.elsewhere.clear()
    world.happens("fail", "a")
    for name in tuple(world.disabled):
        world.happens("toggle", name)
    for name in "abcd":
        # Other processes have ended what they had under way, which is not heard of here; but more is due.
        world.happens("due", name)
    for _ in range(200):
        for event in ("take", "answer", "wait"):
            world.happens(event, "a")
        for name in "abcd":
            world.happens("end", name)
    assert not any(world.due.values())
