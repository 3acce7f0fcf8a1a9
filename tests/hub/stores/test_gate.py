"""The rules by which a lane lets deliveries through."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.stores.base import BreakerState, HealthMark, LanePolicy
from hub.stores.gate import (
    CATCH_UP_SECONDS,
    FIRST_OPEN_SECONDS,
    FORGET_SECONDS,
    LONGEST_OPEN_SECONDS,
    OPEN_SPREAD,
    SLACK_SECONDS,
    THRESHOLD,
    Breaker,
    LaneState,
)

# -- the breaker ------------------------------------------------------------------------------------------------------


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(THRESHOLD):
        breaker.failed(at, 0.0)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(THRESHOLD - 1):
        breaker.failed(0, 0.0)
    assert breaker.allowance(10, 0) == 10
    breaker.failed(0, 0.0)
    assert breaker.state(0) is BreakerState.OPEN
    assert breaker.allowance(10, 0) == 0


def test_one_success_starts_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(THRESHOLD - 1):
        breaker.failed(0, 0.0)
    breaker.succeeded(10)
    breaker.failed(0, 0.0)
    assert breaker.state(0) is BreakerState.CLOSED


def test_after_the_rest_one_delivery_is_tried() -> None:
    breaker = opened()
    assert breaker.allowance(10, breaker.open_until - 0.001) == 0
    assert breaker.allowance(10, breaker.open_until) == 1
    assert breaker.state(breaker.open_until) is BreakerState.HALF_OPEN


def test_each_rest_after_a_failed_try_is_twice_as_long_up_to_the_longest() -> None:
    breaker, rests = opened(), []
    for _ in range(20):
        now = breaker.open_until
        breaker.failed(now, 0.0)
        rests.append(round(breaker.open_until - now, 3))
    assert rests[:3] == [FIRST_OPEN_SECONDS * 2, FIRST_OPEN_SECONDS * 4, FIRST_OPEN_SECONDS * 8]
    assert rests[-1] == LONGEST_OPEN_SECONDS


@pytest.mark.parametrize("spread", [-1.0, 0.5, 1.0])
def test_a_rest_is_spread_so_that_lanes_come_back_apart(spread: float) -> None:
    breaker = opened()
    now = breaker.open_until
    breaker.failed(now, spread)
    assert breaker.open_until - now == pytest.approx(FIRST_OPEN_SECONDS * 2 * (1 + OPEN_SPREAD * spread), abs=0.001)


def test_failures_that_arrive_during_the_rest_do_not_prolong_it() -> None:
    breaker = opened()
    until = breaker.open_until
    breaker.failed(1, 0.0)
    assert breaker.open_until == until


def test_a_success_that_arrives_during_the_rest_ends_it() -> None:
    breaker = opened()
    breaker.succeeded(10)
    assert breaker.allowance(10, 0.5) == 2


def test_a_success_closes_it_and_the_room_doubles_up_to_the_cap() -> None:
    breaker = opened()
    allowed = []
    for _ in range(4):
        breaker.succeeded(10)
        allowed.append(breaker.allowance(10, breaker.open_until))
    assert allowed == [2, 4, 8, 10]
    assert breaker.recovered


def test_a_single_failure_while_ramping_up_does_not_open_it() -> None:
    breaker = opened()
    breaker.succeeded(10)
    breaker.failed(5, 0.0)
    assert breaker.state(5) is BreakerState.CLOSED


# -- the lane ---------------------------------------------------------------------------------------------------------


def lane(**policy: float | None) -> LaneState:
    made = LaneState()
    made.adopt(LanePolicy(**policy))  # type: ignore[arg-type] # by name
    return made


def begin(some: LaneState, number: int, now: float) -> int:
    """Start what may start of so many, and give how many that is."""
    started = some.take(number, now)
    some.settle(started, started)
    for _ in range(started):
        some.under_way[f"dlv_{len(some.under_way)}_{now}"] = 1
    return started


def end(some: LaneState, mark: HealthMark, now: float) -> None:
    some.under_way.popitem()
    some.record(mark, now, 0.0)


def test_room_that_nothing_was_found_for_is_not_spent() -> None:
    some = lane(max_in_flight=3, per_second=1.0)
    assert some.take(3, 10.0) == 1
    assert some.full(10.0) is False
    assert some.take(3, 10.0) == 0, "it is reserved"
    some.settle(1, 0)
    assert some.take(3, 10.0) == 1


def test_a_rate_is_kept_over_a_long_time_and_a_tenth_of_a_second_may_be_caught_up_with() -> None:
    some = lane(per_second=50.0)
    assert begin(some, 100, 0.0) == 1 + int(50 * CATCH_UP_SECONDS)
    started = sum(begin(some, 100, round(step * 0.007, 3)) for step in range(1, 1_000))
    assert started == pytest.approx(50 * 6.993, abs=1)


def test_an_idle_lane_saves_up_no_more_than_a_tenth_of_a_second() -> None:
    some = lane(per_second=100.0)
    begin(some, 100, 0.0)
    assert begin(some, 100, 1_000.0) == 11


def test_a_pause_holds_the_lane_and_a_shorter_one_does_not_end_it() -> None:
    some = lane(max_in_flight=5)
    some.pause(30.0)
    some.pause(10.0)
    assert (some.take(5, 29.999), some.not_before(0.0)) == (0, 30.0)
    assert some.take(5, 30.0) == 5


def test_another_address_forgets_the_targets_health_and_keeps_what_is_under_way() -> None:
    some = lane(max_in_flight=THRESHOLD * 2, per_second=1_000.0, revision=1)
    assert begin(some, THRESHOLD + 1, 0.0) == THRESHOLD + 1
    for _ in range(THRESHOLD):
        end(some, HealthMark.BAD, 0.0)
    some.pause(60.0)
    assert some.take(1, 1.0) == 0
    some.adopt(LanePolicy(THRESHOLD * 2, 1_000.0, revision=2))
    assert (some.breaker.failures, some.take(1, 1.0)) == (THRESHOLD, 0), "the target is where it was"
    some.adopt(LanePolicy(THRESHOLD * 2, 1_000.0, revision=3, address="elsewhere"))
    assert some.breaker.healthy
    assert some.take(100, 1.0) == THRESHOLD * 2 - 1


def test_an_attempt_speaks_for_the_address_to_which_it_was_made() -> None:
    some = LaneState()
    some.adopt(LanePolicy(address="here"))
    assert [some.is_at(address) for address in ("here", "there", None)] == [True, False, True]


def test_a_policy_of_an_older_revision_is_left_aside() -> None:
    some = lane(max_in_flight=2, revision=7)
    some.adopt(LanePolicy(50, revision=6))
    assert some.take(10, 0.0) == 2


def test_the_policy_may_change_within_a_revision() -> None:
    some = lane(max_in_flight=2)
    some.adopt(LanePolicy(5))
    assert some.take(10, 0.0) == 5


def test_a_lane_is_idle_once_there_is_nothing_to_remember() -> None:
    some = lane(per_second=1.0)
    assert some.idle(0.0)
    begin(some, 1, 0.0)
    assert not some.idle(100.0)
    end(some, HealthMark.GOOD, 0.5)
    assert not some.idle(0.9), "the rate is not recovered"
    assert some.idle(1.1)
    some.pause(9.0)
    assert not some.idle(8.9)
    some.record(HealthMark.BAD, 9.0, 0.0)
    assert not some.idle(1_000.0)
    assert some.idle(9.0 + FORGET_SECONDS)


# -- any sequence -----------------------------------------------------------------------------------------------------


@dataclass
class Book:
    """An independent account of a lane: what was started when, and what ended how."""

    cap: int
    rate: float | None
    starts: list[float] = field(default_factory=list)
    under_way: int = 0
    failures: int = 0
    paused_until: float = 0.0

    def check_start(self, number: int, now: float) -> None:
        self.starts += [now] * number
        self.under_way += number
        if number:
            assert self.under_way <= self.cap
            assert now >= self.paused_until
            assert self.rate is None or all(self._rates(now))

    def _rates(self, now: float) -> Iterator[bool]:
        assert self.rate is not None
        for number, began in enumerate(reversed(self.starts), start=1):
            yield number <= 1 + (now - began + CATCH_UP_SECONDS + 2 * SLACK_SECONDS) * self.rate + 1e-6


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(1, 8)),
        st.tuples(st.sampled_from(["good", "bad", "none", "bad", "bad"]), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.integers(1, 4_000)),
        st.tuples(st.just("until"), st.just(0)),
        st.tuples(st.just("pause"), st.integers(1, 9_000)),
    ),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(
    STEPS,
    st.integers(1, 12),
    st.sampled_from([None, 0.3, 1.0, 3.0, 7.0, 100.0]),
    st.floats(-1, 1),
    st.sampled_from([0, 1_795_435_200_000]),
)
def test_in_any_sequence_the_bounds_hold_and_what_is_told_comes_true(
    steps: list[tuple[str, int]], cap: int, rate: float | None, spread: float, origin: int
) -> None:
    some, book, clock = lane(max_in_flight=cap, per_second=rate), Book(cap, rate), origin
    for step, amount in steps:
        now = clock / 1000
        if step == "start":
            state = some.breaker.state(now)
            number = begin(some, amount, now)
            book.check_start(number, now)
            assert not (number and state is BreakerState.OPEN)
            assert not (number and state is BreakerState.HALF_OPEN and book.under_way > 1)
        elif step == "wait":
            clock += amount
        elif step == "until":
            at = some.not_before(now)
            if at > now:
                assert some.take(1, now) == 0
                clock = round(at * 1000)
                assert clock / 1000 == at, "a whole millisecond"
            if not some.full(clock / 1000):
                assert some.take(1, clock / 1000) == 1, "there was to be room now"
                some.settle(1, 0)
        elif step == "pause":
            some.pause((clock + amount) / 1000)
            book.paused_until = max(book.paused_until, (clock + amount) / 1000)
        else:
            for _ in range(min(amount, book.under_way)):
                end(some, HealthMark(step), now)
                book.under_way -= 1
                if step != "none":
                    book.failures = book.failures + 1 if step == "bad" else 0
        assert len(some.under_way) == book.under_way
        assert some.breaker.failures == book.failures
        if book.failures == 0:
            assert some.breaker.state(clock / 1000) is BreakerState.CLOSED
