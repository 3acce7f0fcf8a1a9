"""The numbers of a tenant, each read from a bounded part of an index."""

from typing import Final

import apsw

from hub.stores.base import ChannelStats, RecentFailure, Stats
from hub.stores.milliseconds import instant, instant_or_none
from hub.stores.sqlite.rows import fetch
from hub.stores.stats import FAILURES, SAMPLES, Sample, latencies, total

COUNTED: Final = 200_000
"""No count goes further than this: SQLite has to go through what it counts."""
_ACCEPTED: Final = """
    SELECT count(*) AS row
    FROM (SELECT 1 FROM events WHERE tenant = :tenant AND accepted_at >= :since LIMIT :counted)
"""
# From one channel to the next in the index `attempts_by_time`: the cost grows with channels and not with attempts.
_CHANNELS: Final = """
    WITH RECURSIVE found (channel) AS (
        SELECT min(channel) FROM attempts WHERE tenant = :tenant
        UNION ALL
        SELECT (SELECT min(channel) FROM attempts WHERE tenant = :tenant AND channel > found.channel)
        FROM found WHERE found.channel IS NOT NULL)
    SELECT json_quote(channel) AS row FROM found WHERE channel IS NOT NULL
"""
_OUTCOMES: Final = """
    SELECT json_array(coalesce(sum(outcome = 'succeeded'), 0), coalesce(sum(outcome = 'failed'), 0)) AS row
    FROM (SELECT outcome FROM attempts WHERE tenant = :tenant AND channel = :channel AND started_at >= :since
        ORDER BY started_at DESC LIMIT :counted)
"""
# The oldest first, so that the age of the oldest is right wherever the count ends.
_PENDING: Final = """
    SELECT json_array(channel, count(*), min(created_at)) AS row
    FROM (SELECT channel, created_at FROM deliveries INDEXED BY deliveries_open
        WHERE tenant = :tenant AND status = 'pending' ORDER BY created_at LIMIT :counted)
    GROUP BY channel
"""
_DEAD: Final = """
    SELECT json_array(channel, sum(updated_at >= :since), count(*)) AS row
    FROM (SELECT channel, updated_at FROM deliveries INDEXED BY deliveries_open
        WHERE tenant = :tenant AND status = 'dead' ORDER BY created_at DESC LIMIT :counted)
    GROUP BY channel
"""
_LATENCIES: Final = f"""
    SELECT json_array(started_at, duration_ms) AS row
    FROM attempts WHERE tenant = :tenant AND channel = :channel AND started_at >= :since AND duration_ms IS NOT NULL
    ORDER BY started_at DESC LIMIT {SAMPLES}
"""
_RECENT: Final = f"""
    SELECT json_array(attempts.started_at, deliveries.id, deliveries.event_type, deliveries.subscription_id,
        deliveries.channel, attempts.status_code, attempts.error) AS row
    FROM (
        SELECT delivery_seq, number FROM (
            SELECT delivery_seq, number, outcome, started_at FROM attempts
            WHERE tenant = :tenant AND channel = :channel AND started_at >= :since
            ORDER BY started_at DESC LIMIT :counted)
        WHERE outcome = 'failed' LIMIT {FAILURES}) AS recent
    CROSS JOIN attempts ON attempts.delivery_seq = recent.delivery_seq AND attempts.number = recent.number
    CROSS JOIN deliveries ON deliveries.seq = recent.delivery_seq
"""


def read_stats(connection: apsw.Connection, tenant: str, since: int, channel: str | None) -> Stats:
    """The numbers since an instant, of one channel or of all."""
    values: dict[str, str | int] = {"tenant": tenant, "since": since, "counted": COUNTED}
    pending = {name: (count, oldest) for name, count, oldest in fetch(connection, _PENDING, values)}
    found = fetch(connection, _DEAD, values)
    dead = {name: count for name, count, _ in found}
    accepted = fetch(connection, _ACCEPTED, values)[0]
    counted = [accepted, sum(count for count, _ in pending.values()), sum(looked_at for *_, looked_at in found)]
    names = {*fetch(connection, _CHANNELS, {"tenant": tenant}), *pending, *dead}
    channels: dict[str, ChannelStats] = {}
    samples: list[Sample] = []
    failures: list[RecentFailure] = []
    for name in sorted(names if channel is None else names & {channel}):
        of_channel = {**values, "channel": name}
        newest = fetch(connection, _LATENCIES, of_channel)
        delivered, failed = fetch(connection, _OUTCOMES, of_channel)[0]
        counted.append(delivered + failed)
        waiting, oldest = pending.get(name, (0, None))
        latency_ms, oldest_at = latencies(newest), instant_or_none(oldest)
        channels[name] = ChannelStats(delivered, failed, dead.get(name, 0), waiting, oldest_at, latency_ms)
        samples += newest
        failures += [RecentFailure(instant(row[0]), *row[1:]) for row in fetch(connection, _RECENT, of_channel)]
    failures.sort(key=lambda failure: failure.at, reverse=True)
    in_all, recent = total(list(channels.values()), samples), tuple(failures[:FAILURES])
    return Stats(accepted, in_all, channels, recent, at_least=max(counted) >= COUNTED)
