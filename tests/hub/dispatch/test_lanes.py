"""How a process shares its room for attempts out over the lanes, and when it asks the store for which."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.dispatch.groups import Groups
from hub.dispatch.lane import FIRST_MISS_SECONDS, FULL_SECONDS, LONGEST_MISS_SECONDS, WEIGHTS
from hub.dispatch.lanes import Lanes
from hub.models import Cause, Delivery, Status
from hub.stores.base import Claim, ClaimRequest, ClaimResult, LaneClass, LanePolicy
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import event

FREE = LanePolicy(max_in_flight=10)


def lanes(room: int = 20, policy: LanePolicy | None = None, **policies: LanePolicy) -> tuple[Lanes, ManualClock]:
    clock = ManualClock()
    chosen = policy or FREE
    return Lanes(room, lambda lane: policies.get(lane, chosen), clock), clock


def tenants(room: int, policy: LanePolicy) -> tuple[Lanes, ManualClock]:
    """Lanes of the tenant and at the host that their names begin and end with."""
    clock = ManualClock()
    return Lanes(room, lambda lane: policy, clock, lambda lane: Groups(lane.split()[0], lane.split()[-1])), clock


def claims(lane: str, number: int) -> tuple[Claim, ...]:
    delivery = Delivery(
        id="dlv_1",
        tenant="ten_a",
        event_id="evt_1",
        event_type="order.created",
        subscription_id=lane,
        channel="webhook",
        status=Status.SENDING,
        created_at=START,
        updated_at=START,
    )
    return (Claim(delivery, event(), Cause.AUTOMATIC, START),) * number


def answer(
    given_out: Mapping[str, int],
    next_due: Mapping[str, datetime] | None = None,
    *,
    full: Collection[str] = (),
    barred: Collection[str] = (),
    breaker_open: Collection[str] = (),
) -> ClaimResult:
    found = tuple(one for lane, number in given_out.items() for one in claims(lane, number))
    return ClaimResult(found, next_due or {}, frozenset(full), frozenset(breaker_open), frozenset(barred))


def serve(some: Lanes, clock: ManualClock, *, more: bool = True) -> dict[str, int]:
    """One round in which every want is filled, and more is due afterwards."""
    wants = some.take()
    given_out = {want.lane: want.limit for want in wants}
    some.answered(wants, answer(given_out, dict.fromkeys(given_out, clock.now()) if more else {}))
    return given_out


def fill(some: Lanes, clock: ManualClock) -> None:
    """Rounds in which every want is filled, until nothing more is wanted."""
    while serve(some, clock):
        pass


def learn(some: Lanes, lane: str, seconds: float) -> None:
    """One attempt of a lane, that keeps its room for so long."""
    some.notify(lane, None)
    assert ask(some, answer({lane: 1})) == [lane]
    some.end_attempt(lane, seconds)


def ask(some: Lanes, told: ClaimResult) -> list[str]:
    """One round that is answered so; gives which lanes were asked for."""
    wants = some.take()
    some.answered(wants, told)
    return [want.lane for want in wants]


# -- sharing ----------------------------------------------------------------------------------------------------------


def test_a_lane_is_asked_for_no_more_than_its_cap() -> None:
    some, clock = lanes(room=100)
    some.notify("a", None)
    assert serve(some, clock) == {"a": 10}
    assert serve(some, clock) == {}
    some.end_attempt("a")
    assert serve(some, clock) == {"a": 1}


def test_lanes_share_the_room_and_take_turns_when_there_is_not_enough() -> None:
    some, clock = lanes(room=4)
    for name in "abcdefgh":
        some.notify(name, None)
    assert serve(some, clock) == {"a": 1, "b": 1, "c": 1, "d": 1}
    for name in "abcd":
        some.end_attempt(name)
    assert serve(some, clock) == {"e": 1, "f": 1, "g": 1, "h": 1}


def test_lanes_that_give_nothing_back_leave_room_to_new_ones() -> None:
    some, clock = lanes(room=100, policy=LanePolicy(max_in_flight=1_000))
    for name in "abcd":
        some.notify(name, None)
    fill(some, clock)
    assert some.in_flight < 100
    some.notify("late", None)
    assert serve(some, clock) == {"late": 1}


def test_lanes_that_hang_leave_room_to_a_lane_that_is_known_to_be_quick() -> None:
    some, clock = lanes(room=32)
    learn(some, "quick", 0.01)
    for number in range(40):
        some.notify(f"hangs {number}", None)
    fill(some, clock)
    for number in range(100):
        some.notify("quick", None)
        assert ask(some, answer({"quick": 1})) == ["quick"]
        some.end_attempt("quick", 0.01)
        if number % 10 == 9:
            clock.advance(5)
            some.end_attempt(f"hangs {number // 10}", 5.0)
            fill(some, clock)


def test_slow_lanes_are_not_kept_waiting_by_quick_ones() -> None:
    some, clock = lanes(room=100, policy=LanePolicy(max_in_flight=1_000))
    for name, seconds in (("quick", 0.01), ("also quick", 0.01), ("slow", 2.0)):
        learn(some, name, seconds)
    some.notify("quick", None)
    some.notify("also quick", None)
    fill(some, clock)
    some.notify("slow", None)
    assert serve(some, clock) == {}
    served = Counter[str]()
    for _ in range(9):
        some.end_attempt("quick", 0.01)
        served.update(serve(some, clock))
    assert served["slow"] >= 3, "a turn of it is as good as one of the others"


@pytest.mark.parametrize(("hanging", "cap"), [(400, 10), (1, 1_000)])
def test_no_tenant_takes_the_room_of_another(hanging: int, cap: int) -> None:
    some, clock = tenants(256, LanePolicy(max_in_flight=cap))
    for number in range(hanging):
        some.notify(f"greedy {number}", None)
    fill(some, clock)
    assert some.in_flight >= 192, "most of the room is not kept from those who can use it"
    for number in range(30):
        some.notify(f"other {number}", None)
    assert sum(serve(some, clock).values()) >= 30


def test_room_that_is_free_goes_to_the_tenant_with_the_least_until_all_have_the_same() -> None:
    some, clock = tenants(90, LanePolicy(max_in_flight=100))
    some.notify("greedy 1", None)
    fill(some, clock)
    some.notify("other 1", None)
    held = Counter({"greedy 1": some.in_flight})
    held.update(serve(some, clock))
    for _ in range(200):
        some.end_attempt("greedy 1")
        held["greedy 1"] -= 1
        held.update(serve(some, clock))
    assert abs(held["greedy 1"] - held["other 1"]) <= 1


def test_a_host_leaves_room_to_others_and_its_lanes_keep_their_turns() -> None:
    some, clock = tenants(64, LanePolicy(max_in_flight=10))
    names = [f"a {number} down" for number in range(10)]
    for name in names:
        learn(some, name, 0.01)
    for name in names:
        some.notify(name, None)
    fill(some, clock)
    assert some.in_flight == 58
    some.notify("a other", None)
    assert set(serve(some, clock)) == {"a other"}
    asked = []
    for _ in range(5):
        some.end_attempt(names[0], 0.01)
        asked += list(serve(some, clock))
    assert len(set(asked)) == 5


def test_a_lane_whose_target_moved_counts_for_its_new_host() -> None:
    hosts = {"a": "old", "b": "new"}
    some = Lanes(64, lambda lane: LanePolicy(100), ManualClock(), lambda lane: Groups("", hosts[lane]))
    some.notify("a", None)
    some.answered(some.take(), answer({"a": 40}))
    hosts["a"] = "new"
    some.refresh("a")
    some.notify("b", None)
    (want,) = some.take()
    assert want.limit <= 58 - 40


def test_what_the_store_did_not_have_is_given_back() -> None:
    some, _ = lanes(room=20)
    some.notify("a", None)
    assert ask(some, answer({"a": 3})) == ["a"]
    assert some.in_flight == 3
    for _ in range(3):
        some.end_attempt("a")
    assert (some.in_flight, len(some)) == (0, 0), "an idle lane is forgotten"


def test_each_class_goes_first_as_often_as_its_weight_says() -> None:
    some, clock = lanes(room=1)
    some.notify("a", None)
    preferences = []
    for _ in range(sum(WEIGHTS.values()) * 3):
        (want,) = some.take()
        preferences.append(want.first)
        some.answered([want], answer({"a": 1}, {"a": clock.now()}))
        some.end_attempt("a")
    assert Counter(preferences) == {class_: weight * 3 for class_, weight in WEIGHTS.items()}
    assert preferences[0] is LaneClass.LIVE
    waits = [list(group) for live, group in groupby(preferences, lambda one: one is LaneClass.LIVE) if not live]
    assert max(map(len, waits)) == 1, "what is live waits for no more than one claim of others"


def test_the_want_carries_the_policy_for_all_processes() -> None:
    policy = LanePolicy(3, 5.0, revision=7)
    some, _ = lanes(a=policy)
    some.notify("a", None)
    assert some.take() == [ClaimRequest("a", 3, policy=policy)]


def test_claims_whose_answer_was_lost_come_back_whatever_is_wanted_now_and_take_room() -> None:
    some, _ = lanes(room=20)
    some.notify("a", None)
    some.unanswered(some.take())
    some.notify("b", None)
    wants = [want for want in some.take() if want.lane == "b"]
    some.answered([*wants], answer({"a": 8, "b": 2}))
    for name in "a" * 8 + "b" * 2:
        some.end_attempt(name)


def test_a_lane_that_got_no_room_keeps_its_turn_when_more_is_due_in_it() -> None:
    some, clock = lanes(room=1)
    some.notify("a", None)
    assert serve(some, clock, more=False) == {"a": 1}
    for name in "bcb":
        some.notify(name, None)
        assert some.take() == []
        clock.advance(1)
    some.end_attempt("a")
    assert ask(some, answer({"b": 1})) == ["b"]


@pytest.mark.parametrize(
    "groups", [lambda lane: Groups("", "host"), lambda lane: Groups(lane, lane)], ids=["one tenant", "many"]
)
def test_an_attempt_that_ends_costs_the_same_however_many_lanes_wait(groups: Callable[[str], Groups]) -> None:
    looks = Counter[str]()

    def policy(lane: str) -> LanePolicy:
        looks[lane] += 1
        return FREE

    some = Lanes(4, policy, ManualClock(), groups)
    for number in range(1_000):
        some.notify(f"lane {number}", None)
    wants = some.take()
    some.answered(wants, answer({want.lane: want.limit for want in wants}))
    looks.clear()
    some.end_attempt(wants[0].lane)
    assert [want.lane for want in some.take()] == ["lane 4"]
    assert looks.total() == 1


# -- when -------------------------------------------------------------------------------------------------------------


def test_a_lane_waits_for_what_is_due_later() -> None:
    some, clock = lanes()
    some.notify("a", clock.now() + timedelta(seconds=5))
    assert some.take() == []
    assert some.next_ready() == 5
    clock.advance(5)
    assert serve(some, clock) == {"a": 10}


def test_what_becomes_due_while_a_claim_is_under_way_is_asked_for_next() -> None:
    some, _ = lanes()
    some.notify("a", None)
    wants = some.take()
    some.notify("a", None)
    some.answered(wants, answer({}))
    assert ask(some, answer({})) == ["a"]
    assert some.next_ready() == inf


def test_a_store_that_does_not_answer_is_asked_for_the_same_again() -> None:
    some, _ = lanes()
    some.notify("a", None)
    some.unanswered(some.take())
    assert some.in_flight == 0
    assert ask(some, answer({})) == ["a"]


def test_a_full_lane_is_asked_again_when_an_attempt_of_it_ends_here() -> None:
    some, _ = lanes()
    some.notify("a", None)
    assert ask(some, answer({"a": 1}, full="a")) == ["a"]
    assert some.take() == []
    assert some.next_ready() == inf
    some.end_attempt("a")
    assert ask(some, answer({})) == ["a"]


def test_an_attempt_that_ends_before_the_answer_that_its_lane_is_full_counts() -> None:
    some, _ = lanes()
    some.notify("a", None)
    ask(some, answer({"a": 2}))
    some.notify("a", None)
    wants = some.take()
    some.end_attempt("a")
    some.answered(wants, answer({}, full="a"))
    assert ask(some, answer({})) == ["a"]


def test_a_lane_that_others_fill_is_asked_again_when_a_signal_names_it_but_not_time_and_again() -> None:
    some, clock = lanes()
    some.notify("a", None)
    ask(some, answer({}, full="a"))
    asked = 0
    for _ in range(1_000):
        some.notify("a", None)
        asked += len(ask(some, answer({}, full="a")))
        clock.advance(0.001)
    assert 9 <= asked <= 1 / FULL_SECONDS


def test_a_lane_that_lets_nothing_start_is_left_alone_until_then_however_much_comes_in() -> None:
    some, clock = lanes()
    some.notify("a", None)
    opens_at = clock.now() + timedelta(seconds=30)
    assert ask(some, answer({}, {"a": opens_at}, barred="a", breaker_open="a")) == ["a"]
    assert some.breakers_open == 1
    some.notify("a", None)
    assert some.take() == []
    clock.advance(30)
    assert ask(some, answer({"a": 1})) == ["a"]
    assert some.breakers_open == 0


def test_a_lane_whose_next_delivery_is_due_later_is_asked_at_once_when_another_is_due() -> None:
    some, clock = lanes()
    some.notify("a", None)
    ask(some, answer({}, {"a": clock.now() + timedelta(hours=1)}))
    assert some.take() == []
    some.notify("a", None)
    assert ask(some, answer({})) == ["a"]


def test_a_lane_that_says_that_something_is_due_and_gives_nothing_is_not_asked_in_a_loop() -> None:
    some, clock = lanes()
    some.notify("a", None)
    waits = []
    for _ in range(12):
        ask(some, answer({}, {"a": clock.now()}))
        some.notify("a", None)
        waits.append(round(some.next_ready(), 6))
        clock.advance(some.next_ready())
    assert waits[:3] == [0.0, FIRST_MISS_SECONDS, FIRST_MISS_SECONDS * 2]
    assert waits[-1] == LONGEST_MISS_SECONDS
    ask(some, answer({"a": 1}, {"a": clock.now()}))
    assert some.next_ready() == 0.0


def test_a_changed_subscription_is_asked_for_whatever_was_said_before() -> None:
    some, clock = lanes()
    for name, told in (
        ("rests", answer({}, {"rests": clock.now() + timedelta(hours=1)}, barred=["rests"])),
        ("full", answer({}, full=["full"])),
    ):
        some.notify(name, None)
        ask(some, told)
        assert some.take() == []
        some.refresh(name)
        assert ask(some, answer({})) == [name]
    some.refresh("unknown")
    assert some.take() == []


def test_a_disabled_lane_keeps_its_work_and_flows_again_when_enabled() -> None:
    clock, switch = ManualClock(), {"on": False}
    some = Lanes(20, lambda lane: FREE if switch["on"] else None, clock)
    some.notify("a", None)
    assert some.take() == []
    assert some.next_ready() == inf
    switch["on"] = True
    some.refresh("a")
    assert serve(some, clock) == {"a": 10}


def test_a_sweep_forgets_what_was_said_of_full_lanes() -> None:
    some, _ = lanes()
    some.notify("a", None)
    ask(some, answer({}, full="a"))
    some.prune()
    assert len(some) == 0
    some.notify("a", None)
    assert ask(some, answer({})) == ["a"]


# -- any sequence -----------------------------------------------------------------------------------------------------


class Stock:
    """A store with so many due deliveries in each lane, three at once."""

    def __init__(self) -> None:
        self.due: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()

    def claim(self, wants: Sequence[ClaimRequest], now: datetime) -> ClaimResult:
        given_out = {w.lane: min(w.limit, self.due[w.lane], 3 - self.under_way[w.lane]) for w in wants}
        for lane, number in given_out.items():
            self.due[lane] -= number
            self.under_way[lane] += number
        left = [lane for lane in given_out if self.due[lane]]
        full = [lane for lane in left if self.under_way[lane] == 3]
        return answer(given_out, {lane: now for lane in left if lane not in full}, full=full)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["due", "ask", "fail", "end", "wait"])), max_size=120
    ),
    st.integers(1, 12),
)
def test_the_room_is_never_exceeded_and_never_lost_and_everything_is_asked_for(
    steps: list[tuple[str, str]], room: int
) -> None:
    some, clock = lanes(room=room, policy=LanePolicy(max_in_flight=5))
    stock, under_way = Stock(), Counter[str]()

    def one(action: str, lane: str) -> None:
        if action == "due":
            stock.due[lane] += 2
            some.notify(lane, None)
        elif action == "ask":
            wants = some.take()
            told = stock.claim(wants, clock.now())
            some.answered(wants, told)
            under_way.update(claim.delivery.subscription_id for claim in told.claims)
        elif action == "fail":
            some.unanswered(some.take())
        elif action == "end" and under_way[lane]:
            under_way[lane] -= 1
            stock.under_way[lane] -= 1
            some.end_attempt(lane)
        else:
            clock.advance(0.05)
        assert some.in_flight == under_way.total() <= room

    for lane, action in steps:
        one(action, lane)
    for _ in range(400):
        one("ask", "")
        for lane in "abcdef":
            one("end", lane)
        one("wait", "")
    assert stock.due.total() == 0
    assert (some.in_flight, len(some)) == (0, 0)
