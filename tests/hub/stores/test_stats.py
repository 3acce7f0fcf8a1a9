"""Latencies are nearest ranks of the newest attempts, and a total is the sum of its channels."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.stores.base import ChannelStats
from hub.stores.stats import SAMPLES, latencies, total
from tests.clock import START

DURATIONS = st.lists(st.integers(0, 10_000), min_size=1, max_size=300)


@settings(deadline=None, max_examples=50)
@given(DURATIONS)
def test_a_quantile_is_the_smallest_duration_that_so_many_do_not_exceed(durations: list[int]) -> None:
    found = latencies([(0, duration) for duration in durations])
    for rank in (50, 90, 99):
        quantile = found[f"p{rank}"]
        assert quantile in durations
        assert sum(duration <= quantile for duration in durations) * 100 >= rank * len(durations)
        assert sum(duration < quantile for duration in durations) * 100 < rank * len(durations)


def test_without_attempts_there_are_no_latencies() -> None:
    assert latencies([]) == {}
    assert total([], []) == ChannelStats()


def test_the_total_of_channels_is_their_sum_since_the_oldest_that_waits() -> None:
    one = ChannelStats(1, 2, 3, 4, START, {"p50": 1.0})
    two = ChannelStats(10, 20, 30, 40, START - timedelta(seconds=1))
    three = ChannelStats()
    summed = total([one, two, three], [(1, 7)])
    assert summed == ChannelStats(11, 22, 33, 44, START - timedelta(seconds=1), {"p50": 7.0, "p90": 7.0, "p99": 7.0})


def test_of_all_channels_only_the_newest_attempts_are_timed() -> None:
    old = [(instant, 1_000) for instant in range(SAMPLES)]
    new = [(instant + SAMPLES, 1) for instant in range(SAMPLES)]
    assert set(total([], [*new, *old]).latency_ms.values()) == {1.0}
