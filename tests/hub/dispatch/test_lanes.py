"""How the room for attempts is shared out over the lanes."""

from datetime import timedelta
from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.dispatch.breaker import THRESHOLD
from hub.dispatch.lanes import RETRIES_FIRST_EVERY, LanePolicy, Lanes
from tests.clock import ManualClock

FREE = LanePolicy(max_in_flight=10)


def lanes(room: int = 20, policy: LanePolicy | None = None, **policies: LanePolicy) -> tuple[Lanes, ManualClock]:
    clock = ManualClock()
    chosen = policy or FREE
    return Lanes(room, lambda lane: policies.get(lane, chosen), clock, Random(1)), clock


def serve(some: Lanes, *, more: bool = True) -> dict[str, int]:
    """One round in which every want is filled, and more is due afterwards."""
    given_out = {}
    for want in some.take():
        given_out[want.lane] = want.limit
        some.claimed(want, want.limit, ManualClock().now() if more else None)
    return given_out


def test_a_lane_gets_no_more_than_its_cap() -> None:
    some, _ = lanes(room=100)
    some.notice("a", None)
    assert serve(some) == {"a": 10}
    assert serve(some) == {}
    some.settled("a", failed=False)
    assert serve(some) == {"a": 1}


def test_lanes_share_the_room_and_take_turns_when_there_is_not_enough() -> None:
    some, _ = lanes(room=4)
    for name in "abcdefgh":
        some.notice(name, None)
    assert serve(some, more=True) == {"a": 1, "b": 1, "c": 1, "d": 1}
    for name in "abcd":
        some.settled(name, failed=False)
    assert serve(some) == {"e": 1, "f": 1, "g": 1, "h": 1}


def test_the_last_quarter_of_the_room_is_kept_for_lanes_under_their_fair_share() -> None:
    greedy = LanePolicy(max_in_flight=1_000)
    some, _ = lanes(room=100, policy=greedy)
    for name in "abcd":
        some.notice(name, None)
    some.notice("late", ManualClock().now() + timedelta(days=1))
    serve(some)
    for _ in range(200):
        if not serve(some):
            break
    assert some.in_flight < 100, "the hogs left room"
    some.notice("late", None)
    assert serve(some)["late"] == 5


def test_what_the_store_did_not_have_is_given_back() -> None:
    some, _ = lanes(room=20)
    some.notice("a", None)
    (want,) = some.take()
    some.claimed(want, 3, None)
    assert some.in_flight == 3
    for _ in range(3):
        some.settled("a", failed=False)
    assert some.in_flight == 0
    assert some.get("a") is None, "an idle lane is forgotten"


def test_a_lane_waits_for_what_is_due_later() -> None:
    some, clock = lanes()
    some.notice("a", clock.now() + timedelta(seconds=5))
    assert some.take() == []
    assert some.next_ready() == 5
    clock.advance(5)
    assert serve(some) == {"a": 10}


def test_a_rate_spaces_attempts_evenly() -> None:
    some, clock = lanes(policy=LanePolicy(max_in_flight=10, per_second=2))
    some.notice("a", None)
    starts = 0
    for _ in range(100):
        starts += sum(serve(some).values())
        for _ in range(some.in_flight):
            some.settled("a", failed=False)
        clock.advance(0.125)
    assert 24 <= starts <= 26


def test_a_rate_survives_an_idle_lane() -> None:
    some, clock = lanes(policy=LanePolicy(max_in_flight=10, per_second=1))
    some.notice("a", None)
    serve(some, more=False)
    some.settled("a", failed=False)
    clock.advance(0.1)
    some.notice("a", None)
    assert serve(some) == {}
    clock.advance(0.9)
    assert serve(some) == {"a": 1}


def test_unclaimed_slots_do_not_use_up_the_rate() -> None:
    some, _ = lanes(policy=LanePolicy(max_in_flight=10, per_second=1))
    some.notice("a", None)
    (want,) = some.take()
    some.claimed(want, 0, None)
    some.notice("a", None)
    assert serve(some) == {"a": 1}


def test_a_pause_that_the_target_asked_for_holds_the_lane() -> None:
    some, clock = lanes()
    some.notice("a", None)
    serve(some)
    some.settled("a", failed=False, pause_seconds=30)
    assert some.take() == []
    clock.advance(30)
    assert serve(some) == {"a": 1}


def test_an_open_breaker_rests_the_lane_then_probes_with_one() -> None:
    some, clock = lanes()
    some.notice("a", None)
    serve(some)
    for _ in range(THRESHOLD):
        some.settled("a", failed=True)
    assert serve(some) == {}
    clock.advance(some.next_ready())
    assert serve(some) == {"a": 1}
    assert serve(some) == {}


def test_a_changed_subscription_gets_a_fresh_breaker() -> None:
    some, _ = lanes()
    some.notice("a", None)
    serve(some)
    for _ in range(THRESHOLD):
        some.settled("a", failed=True)
    some.refresh("a")
    assert serve(some) == {"a": 10}


def test_a_disabled_lane_keeps_its_work_and_flows_again_when_enabled() -> None:
    clock, switch = ManualClock(), {"on": False}
    some = Lanes(20, lambda lane: LanePolicy(10, enabled=switch["on"]), clock, Random(1))
    some.notice("a", None)
    assert some.take() == []
    assert some.next_ready() == inf
    switch["on"] = True
    some.refresh("a")
    assert serve(some) == {"a": 10}


def test_every_few_claims_retries_go_first() -> None:
    some, _ = lanes(room=1)
    some.notice("a", None)
    preferences = []
    for _ in range(RETRIES_FIRST_EVERY * 2):
        (want,) = some.take()
        preferences.append(want.retries_first)
        some.claimed(want, 1, ManualClock().now())
        some.settled("a", failed=False)
    assert preferences == ([False] * (RETRIES_FIRST_EVERY - 1) + [True]) * 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 4)), max_size=120), st.integers(1, 12))
def test_the_room_is_never_exceeded_and_never_lost(steps: list[tuple[str, int]], room: int) -> None:
    some, clock = lanes(room=room, policy=LanePolicy(max_in_flight=3))
    under_way: list[str] = []
    for name, action in steps:
        if action == 0:
            some.notice(name, None)
        elif action == 1:
            for want in some.take():
                some.claimed(want, want.limit, clock.now())
                under_way += [want.lane] * want.limit
        elif action == 2 and under_way:
            some.settled(under_way.pop(), failed=name in "ab")
        elif action == 3:
            for want in some.take():
                some.claimed(want, 0, None)
        else:
            clock.advance(1)
        assert some.in_flight == len(under_way) <= room
        assert all(under_way.count(lane) <= 3 for lane in under_way)
    while under_way:
        some.settled(under_way.pop(), failed=False)
    clock.advance(1_000)
    some.notice("z", None)
    offered: set[str] = set()
    for _ in range(10):
        for want in some.take():
            offered.add(want.lane)
            some.claimed(want, 0, None)
    assert "z" in offered
