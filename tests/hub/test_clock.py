"""The system's clock: aware, and to the millisecond."""

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


async def test_monotonic_time_goes_on_by_what_is_slept() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.001)
    assert clock.monotonic() - before >= 0.001


def test_the_uptime_is_of_the_machine_and_its_boot_has_a_name() -> None:
    clock, other = SystemClock(), SystemClock()
    before = clock.uptime()
    assert 0 < before <= other.uptime()
    assert clock.boot == other.boot
