"""Latencies of attempts, and the numbers of all channels as one."""

from collections.abc import Mapping, Sequence
from typing import Final

from hub.stores.base import ChannelStats

SAMPLES: Final = 4_000
"""Latencies are taken from this many of the newest attempts, of one channel and of all."""
FAILURES: Final = 20
"""How many recent failures are shown."""

Sample = tuple[int, int]
"""When an attempt began and how long it took, in milliseconds."""


def latencies(samples: Sequence[Sample]) -> Mapping[str, float]:
    """The nearest-rank quantiles p50, p90 and p99; empty without samples."""
    ordered = sorted(duration for _, duration in samples)
    if not ordered:
        return {}
    return {f"p{rank}": float(ordered[-(-rank * len(ordered) // 100) - 1]) for rank in (50, 90, 99)}


def total(channels: Sequence[ChannelStats], samples: Sequence[Sample]) -> ChannelStats:
    """The numbers of all channels as one; `samples` are those of all of them."""
    return ChannelStats(
        delivered=sum(stats.delivered for stats in channels),
        failed_attempts=sum(stats.failed_attempts for stats in channels),
        dead=sum(stats.dead for stats in channels),
        pending=sum(stats.pending for stats in channels),
        oldest_pending_at=min((stats.oldest_pending_at for stats in channels if stats.oldest_pending_at), default=None),
        latency_ms=latencies(sorted(samples, reverse=True)[:SAMPLES]),
    )
