"""When a failed attempt is followed by another."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hub.retry import DEFAULT_SCHEDULE, RETRY_AFTER_MAX, RetrySchedule, next_wait


def wait(attempt: int, retry_after: float | None = None, *, at: float = 0.5) -> float | None:
    return next_wait(DEFAULT_SCHEDULE, attempt, retry_after=retry_after, random=lambda: at)


def test_the_default_schedule_is_the_documented_one() -> None:
    assert [wait(attempt) for attempt in range(1, 12)] == pytest.approx(
        [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    )


def test_after_the_last_wait_there_is_no_other_attempt() -> None:
    assert wait(12) is None
    assert wait(12, retry_after=1) is None
    assert next_wait((), 1, retry_after=None, random=lambda: 0.5) is None


@given(st.integers(1, 11), st.integers())
def test_a_wait_is_within_a_fifth_of_the_schedule(attempt: int, seed: int) -> None:
    waited = next_wait(DEFAULT_SCHEDULE, attempt, retry_after=None, random=Random(seed).random)
    assert waited is not None
    assert 0.8 <= waited / DEFAULT_SCHEDULE[attempt - 1] <= 1.2


def test_jitter_reaches_both_ends() -> None:
    assert wait(1, at=0.0) == pytest.approx(4)
    assert wait(1, at=0.999999) == pytest.approx(6, rel=1e-5)


@pytest.mark.parametrize("asked", [0.5, 1, 120, 86_400])
def test_retry_after_is_kept_to_the_second(asked: float) -> None:
    assert wait(1, asked, at=0.0) == asked
    assert wait(11, asked, at=0.9) == asked


@pytest.mark.parametrize("asked", [86_401, 1e20, math.inf])
def test_retry_after_is_capped_at_a_day(asked: float) -> None:
    assert wait(1, asked) == RETRY_AFTER_MAX


@pytest.mark.parametrize("asked", [0, -5, math.nan, -math.inf])
def test_a_retry_after_that_says_nothing_leaves_the_schedule(asked: float) -> None:
    assert wait(1, asked) == pytest.approx(5)


@pytest.mark.parametrize("schedule", [[-1], [math.inf], [math.nan], [604_801], [1] * 51, "5", [None]])
def test_a_schedule_has_fifty_waits_of_a_week_at_most(schedule: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RetrySchedule).validate_python(schedule)


def test_a_schedule_may_be_empty_or_at_the_limits() -> None:
    assert TypeAdapter(RetrySchedule).validate_python([]) == ()
    assert TypeAdapter(RetrySchedule).validate_python([0, 604_800] * 25) == (0, 604_800) * 25
