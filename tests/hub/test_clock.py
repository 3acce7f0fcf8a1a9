"""The system's clock: aware, to the millisecond, and set right by the reference that all machines share."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.clock import SystemClock, to_millisecond


@settings(deadline=None, max_examples=50)
@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_finer_than_a_millisecond_is_cut_off(at: datetime) -> None:
    cut = to_millisecond(at)
    assert timedelta(0) <= at - cut < timedelta(milliseconds=1)
    assert cut.microsecond % 1000 == 0


def test_the_present_instant_is_aware_and_to_the_millisecond() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert now == to_millisecond(now)


def test_a_clock_that_agreed_with_a_reference_counts_from_there() -> None:
    clock, plain = SystemClock(), SystemClock()
    clock.agree(timedelta(days=1))
    assert timedelta(hours=23) < clock.now() - plain.now() < timedelta(hours=25)
    clock.agree(timedelta(0))
    assert abs(clock.now() - plain.now()) < timedelta(hours=1)


async def test_monotonic_time_goes_on_by_what_is_slept() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() - before >= 0.001
