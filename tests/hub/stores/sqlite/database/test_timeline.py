"""The store's time goes on by what has passed, whatever is done to the time of day."""

from dataclasses import replace

from hub.stores.base import ClockMark
from hub.stores.milliseconds import milliseconds
from hub.stores.sqlite.database.timeline import Timeline
from hub.testing.clock import START, ManualClock

BEGAN = milliseconds(START)
HOUR = 3_600


def mark_of(timeline: Timeline, clock: ManualClock) -> ClockMark:
    return ClockMark(clock.boot, clock.uptime(), timeline.wall(), timeline.now())


def test_a_new_store_begins_with_the_time_of_day() -> None:
    timeline = Timeline(ManualClock(), None)
    assert (timeline.now(), timeline.wall(), timeline.ahead()) == (BEGAN, BEGAN, 0)


def test_a_time_of_day_that_is_set_moves_nothing() -> None:
    clock = ManualClock()
    timeline = Timeline(clock, None)
    clock.advance(1.5)
    clock.set_back(HOUR)
    assert timeline.now() == BEGAN + 1_500
    assert timeline.ahead() == -HOUR * 1000


def test_over_a_restart_what_has_passed_counts_and_not_the_time_of_day() -> None:
    clock = ManualClock()
    clock.advance(10)
    last = mark_of(Timeline(clock, None), clock)
    clock.advance(5)
    clock.set_back(HOUR)
    assert Timeline(clock, last).now() == last.store + 5_000


def test_after_another_boot_only_the_time_of_day_tells_what_has_passed() -> None:
    before = ManualClock()
    last = mark_of(Timeline(before, None), before)
    later, earlier = ManualClock(), ManualClock()
    later.advance(HOUR)
    earlier.set_back(HOUR)
    assert Timeline(later, last).now() == last.store + HOUR * 1000
    assert Timeline(earlier, last).now() == last.store


def test_an_uptime_that_is_less_than_before_is_of_another_boot() -> None:
    clock = ManualClock()
    last = mark_of(Timeline(clock, None), clock)
    assert Timeline(clock, replace(last, uptime=5.0, wall=last.wall - 2_000)).now() == last.store + 2_000
