"""The numbers of a tenant, each read from an index alone."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from hub.stores.base import ChannelStats, RecentFailure, Stats
from hub.stores.sqlite.rows import fetch, instant, instant_or_none

_SAMPLES: Final = 4_000
_FAILURES: Final = 20

_ACCEPTED: Final = "SELECT count(*) AS row FROM events WHERE tenant = :tenant AND accepted_at >= :since"
_CHANNELS: Final = """
    WITH RECURSIVE found (channel) AS (
        SELECT min(channel) FROM attempts WHERE tenant = :tenant
        UNION ALL
        SELECT (SELECT min(channel) FROM attempts WHERE tenant = :tenant AND channel > found.channel)
        FROM found WHERE found.channel IS NOT NULL)
    SELECT json_quote(channel) AS row FROM found WHERE channel IS NOT NULL
"""
_OUTCOMES: Final = """
    SELECT json_array(sum(outcome = 'succeeded'), sum(outcome = 'failed')) AS row
    FROM attempts WHERE tenant = :tenant AND channel = :channel AND started_at >= :since
"""
_PENDING: Final = """
    SELECT json_array(channel, count(*), min(created_at)) AS row
    FROM deliveries WHERE tenant = :tenant AND status = 'pending' GROUP BY channel
"""
_DEAD: Final = """
    SELECT json_array(channel, count(*)) AS row
    FROM deliveries WHERE tenant = :tenant AND status = 'dead' AND updated_at >= :since GROUP BY channel
"""
_LATENCIES: Final = f"""
    SELECT json_array(started_at, duration_ms) AS row
    FROM attempts WHERE tenant = :tenant AND channel = :channel AND started_at >= :since AND duration_ms IS NOT NULL
    ORDER BY started_at DESC LIMIT {_SAMPLES}
"""
_RECENT: Final = f"""
    SELECT json_array(attempts.started_at, deliveries.id, deliveries.event_type, deliveries.subscription_id,
        deliveries.channel, attempts.status_code, attempts.error) AS row
    FROM (
        SELECT delivery_seq, number FROM attempts
        WHERE tenant = :tenant AND channel = :channel AND started_at >= :since AND outcome = 'failed'
        ORDER BY started_at DESC LIMIT {_FAILURES}) AS recent
    CROSS JOIN attempts ON attempts.delivery_seq = recent.delivery_seq AND attempts.number = recent.number
    CROSS JOIN deliveries ON deliveries.seq = recent.delivery_seq
"""
Sample = tuple[int, int]
"""When an attempt began, and how long it took, in milliseconds."""


def read_stats(connection: apsw.Connection, tenant: str, since: int, channel: str | None) -> Stats:
    """The numbers since an instant, of one channel or of all."""
    values: dict[str, str | int] = {"tenant": tenant, "since": since}
    pending = {name: (count, oldest) for name, count, oldest in fetch(connection, _PENDING, {"tenant": tenant})}
    dead = dict(fetch(connection, _DEAD, values))
    names = {*fetch(connection, _CHANNELS, {"tenant": tenant}), *pending, *dead}
    channels: dict[str, ChannelStats] = {}
    samples: list[Sample] = []
    failures: list[RecentFailure] = []
    for name in sorted(names if channel is None else names & {channel}):
        of_channel = {**values, "channel": name}
        latencies = fetch(connection, _LATENCIES, of_channel)
        (delivered, failed), (waiting, oldest) = (
            fetch(connection, _OUTCOMES, of_channel)[0],
            pending.get(name, (0, None)),
        )
        channels[name] = ChannelStats(
            delivered=delivered or 0,
            failed_attempts=failed or 0,
            dead=dead.get(name, 0),
            pending=waiting,
            oldest_pending_at=instant_or_none(oldest),
            latency_ms=quantiles([duration for _, duration in latencies]),
        )
        samples += latencies
        failures += [RecentFailure(instant(row[0]), *row[1:]) for row in fetch(connection, _RECENT, of_channel)]
    samples.sort(reverse=True)
    failures.sort(key=lambda failure: failure.at, reverse=True)
    return Stats(
        accepted=fetch(connection, _ACCEPTED, values)[0],
        total=_total(channels, [duration for _, duration in samples[:_SAMPLES]]),
        channels=channels,
        recent_failures=tuple(failures[:_FAILURES]),
    )


def quantiles(durations: Sequence[int]) -> Mapping[str, float]:
    """The nearest-rank quantiles p50, p90 and p99; empty without durations."""
    ordered = sorted(durations)
    if not ordered:
        return {}
    return {f"p{rank}": float(ordered[-(-rank * len(ordered) // 100) - 1]) for rank in (50, 90, 99)}


def _total(channels: Mapping[str, ChannelStats], durations: Sequence[int]) -> ChannelStats:
    every: list[Any] = list(channels.values())
    return ChannelStats(
        delivered=sum(stats.delivered for stats in every),
        failed_attempts=sum(stats.failed_attempts for stats in every),
        dead=sum(stats.dead for stats in every),
        pending=sum(stats.pending for stats in every),
        oldest_pending_at=min((s.oldest_pending_at for s in every if s.oldest_pending_at), default=None),
        latency_ms=quantiles(durations),
    )
