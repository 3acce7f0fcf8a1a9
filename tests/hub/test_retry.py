"""When a failed attempt is followed by another."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hub.retry import DEFAULT_SCHEDULE, RETRY_AFTER_MAX, RetrySchedule, Wait, next_wait


def wait(steps: float, retry_after: float | None = None, *, throttled: bool = False, at: float = 0.5) -> Wait | None:
    return next_wait(DEFAULT_SCHEDULE, steps, retry_after=retry_after, throttled=throttled, random=lambda: at)


def seconds(steps: float, retry_after: float | None = None, *, throttled: bool = False, at: float = 0.5) -> float:
    waited = wait(steps, retry_after, throttled=throttled, at=at)
    assert waited is not None
    return waited.seconds


def used_up(steps: float, retry_after: float | None = None, *, throttled: bool = False) -> float:
    waited = wait(steps, retry_after, throttled=throttled)
    assert waited is not None
    return waited.steps


def test_the_default_schedule_is_the_documented_one() -> None:
    assert [seconds(step) for step in range(11)] == pytest.approx(
        [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    )


def test_after_the_last_wait_there_is_no_other_attempt() -> None:
    assert wait(11) is None
    assert wait(11, 1, throttled=True) is None
    assert next_wait((), 0, random=lambda: 0.5) is None


@given(st.integers(0, 10), st.integers())
def test_a_wait_is_within_a_fifth_of_the_schedule(step: int, seed: int) -> None:
    waited = next_wait(DEFAULT_SCHEDULE, step, random=Random(seed).random)
    assert waited is not None
    assert 0.8 <= waited.seconds / DEFAULT_SCHEDULE[step] <= 1.2
    assert waited.steps == step + 1


def test_jitter_reaches_both_ends() -> None:
    assert seconds(0, at=0.0) == pytest.approx(4)
    assert seconds(0, at=0.999999) == pytest.approx(6, rel=1e-5)


@pytest.mark.parametrize("asked", [0.5, 1, 120, 86_400])
def test_a_target_that_is_throttled_is_obeyed_to_the_second(asked: float) -> None:
    assert seconds(0, asked, throttled=True, at=0.0) == asked
    assert seconds(10, asked, throttled=True, at=0.9) == asked


@pytest.mark.parametrize(("asked", "waited"), [(1, 5), (4.9, 5), (7, 7), (86_400, 86_400)])
def test_any_other_target_can_only_lengthen_the_scheduled_wait(asked: float, waited: float) -> None:
    assert seconds(0, asked) == pytest.approx(waited)
    assert used_up(0, asked) == 1


@pytest.mark.parametrize("throttled", [True, False])
@pytest.mark.parametrize("asked", [86_401, 1e20, math.inf])
def test_retry_after_is_capped_at_a_day(asked: float, throttled: bool) -> None:
    assert seconds(0, asked, throttled=throttled) == RETRY_AFTER_MAX


@pytest.mark.parametrize("throttled", [True, False])
@pytest.mark.parametrize("asked", [0, -5, math.nan, -math.inf])
def test_a_retry_after_that_says_nothing_leaves_the_schedule(asked: float, throttled: bool) -> None:
    assert seconds(0, asked, throttled=throttled) == pytest.approx(5)
    assert used_up(0, asked, throttled=throttled) == 1


def test_a_step_is_used_up_when_its_own_wait_has_passed() -> None:
    steps, waits = 0.0, 0
    while steps < 2 - 1e-9:
        waited = wait(steps, 1.0, throttled=True)
        assert waited is not None
        steps, waits = waited.steps, waits + 1
    assert waits == 5 + 30, "seconds of the first two steps"
    assert seconds(steps) == pytest.approx(120)


def test_a_wait_uses_up_no_more_than_one_step_and_no_less_than_the_rest_of_it() -> None:
    assert wait(0.8, 4.0, throttled=True) == Wait(4.0, 1.0)
    assert wait(0.2, 600.0, throttled=True) == Wait(600.0, 1.0)
    assert seconds(0.2) == pytest.approx(5)
    assert used_up(0.2) == 1
    assert next_wait((0.0, 5.0), 0, retry_after=1.0, throttled=True, random=lambda: 0.5) == Wait(1.0, 1.0)


@pytest.mark.parametrize("schedule", [[-1], [math.inf], [math.nan], [604_801], [1] * 51, "5", [None]])
def test_a_schedule_has_fifty_waits_of_a_week_at_most(schedule: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RetrySchedule).validate_python(schedule)


def test_a_schedule_may_be_empty_or_at_the_limits() -> None:
    assert TypeAdapter(RetrySchedule).validate_python([]) == ()
    assert TypeAdapter(RetrySchedule).validate_python([0, 604_800] * 25) == (0, 604_800) * 25
