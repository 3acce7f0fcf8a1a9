"""The circuit breaker of a lane."""

from random import Random

from hub.dispatch.breaker import FIRST_REST_SECONDS, THRESHOLD, Breaker, BreakerState


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(Random(1))
    for _ in range(THRESHOLD):
        breaker.failed(at)
    return breaker


def test_it_opens_after_failures_in_a_row_and_lets_nothing_through() -> None:
    breaker = Breaker(Random(1))
    for _ in range(THRESHOLD - 1):
        breaker.failed(0)
    assert breaker.allowance(10, 0) == 10
    breaker.failed(0)
    assert breaker.state is BreakerState.OPEN
    assert breaker.allowance(10, 0) == 0


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker(Random(1))
    for _ in range(THRESHOLD - 1):
        breaker.failed(0)
    breaker.succeeded(10)
    breaker.failed(0)
    assert breaker.state is BreakerState.CLOSED


def test_half_open_lets_exactly_one_real_delivery_through() -> None:
    breaker = opened()
    assert breaker.allowance(10, breaker.open_until - 0.01) == 0
    assert breaker.allowance(10, breaker.open_until) == 1
    assert breaker.state is BreakerState.HALF_OPEN


def test_a_failed_probe_doubles_the_rest() -> None:
    breaker = opened()
    first = breaker.open_until
    breaker.allowance(10, first)
    breaker.failed(first)
    assert breaker.state is BreakerState.OPEN
    assert FIRST_REST_SECONDS * 2 * 0.8 <= breaker.open_until - first <= FIRST_REST_SECONDS * 2 * 1.2


def test_failures_that_were_under_way_when_it_opened_do_not_lengthen_the_rest() -> None:
    breaker = opened()
    until = breaker.open_until
    breaker.failed(1)
    assert breaker.open_until == until


def test_after_a_successful_probe_the_lane_ramps_up_to_its_cap() -> None:
    breaker = opened()
    breaker.allowance(10, breaker.open_until)
    allowed = []
    for _ in range(5):
        breaker.succeeded(10)
        allowed.append(breaker.allowance(10, breaker.open_until))
    assert allowed == [2, 4, 8, 10, 10]
    assert breaker.untroubled


def test_a_failure_on_the_ramp_does_not_open_it_at_once() -> None:
    breaker = opened()
    breaker.allowance(10, breaker.open_until)
    breaker.succeeded(10)
    breaker.failed(breaker.open_until)
    assert breaker.state is BreakerState.CLOSED
