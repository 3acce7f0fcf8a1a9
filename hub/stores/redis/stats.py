"""The numbers of a tenant, each counted in an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.models import Outcome, Status
from hub.stores.base import ChannelStats, RecentFailure, Stats
from hub.stores.milliseconds import instant
from hub.stores.redis.client.connection import Argument
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.codec import attempt_from
from hub.stores.redis.keyspace.index_scan import DIGITS, at_of, at_once, from_instant
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.stats import FAILURES, SAMPLES, Sample, latencies, total
from hub.stores.unreadable import READ_ERRORS


@dataclass(frozen=True, slots=True)
class _Channel:
    stats: ChannelStats
    samples: list[Sample]
    failures: list[bytes]
    """Members of the index of failed attempts, newest first."""


async def read_stats(engine: Engine, tenant: str, since: datetime, channel: str | None) -> Stats:
    """The numbers since an instant, of one channel or of all."""
    keys, low = KeyNames(engine.prefix), from_instant(since)
    names = sorted(name.decode() for name in await engine.ask("SMEMBERS", keys.channels(tenant)))
    channels: dict[str, _Channel] = {}
    for name in names if channel is None else {channel} & {*names}:
        known, *replies = await at_once(engine, _questions(keys, tenant, name, low))
        numbers = _channel_from(replies)
        # The set of channels also has those whose deliveries were cancelled before an attempt.
        if known or numbers.stats.pending or numbers.stats.dead:
            channels[name] = numbers
    stats = {name: numbers.stats for name, numbers in channels.items()}
    failures = sorted((m for c in channels.values() for m in c.failures), key=at_of, reverse=True)[:FAILURES]
    return Stats(
        accepted=await engine.ask("ZLEXCOUNT", keys.events(tenant), low, "+"),
        total=total(list(stats.values()), [sample for c in channels.values() for sample in c.samples]),
        channels=stats,
        recent_failures=await _recent(engine, keys, failures),
    )


def _questions(keys: KeyNames, tenant: str, channel: str, low: str) -> list[tuple[Argument, ...]]:
    attempts = {outcome: keys.attempts(tenant, channel, outcome) for outcome in Outcome}
    pending = keys.by_status(tenant, channel, Status.PENDING)
    return [
        ("EXISTS", *attempts.values()),
        ("ZLEXCOUNT", attempts[Outcome.SUCCEEDED], low, "+"),
        ("ZLEXCOUNT", attempts[Outcome.FAILED], low, "+"),
        ("ZLEXCOUNT", keys.dead(tenant, channel), low, "+"),
        ("ZCARD", pending),
        ("ZRANGE", pending, 0, 0),
        *(("ZREVRANGEBYLEX", index, "+", low, "LIMIT", 0, SAMPLES) for index in attempts.values()),
    ]


def _channel_from(replies: Sequence[Any]) -> _Channel:
    """What the replies to `_questions`, but the first, say."""
    delivered, failed, dead, pending, oldest, *attempts = replies
    samples = sorted((s for members in attempts for m in members if (s := _sample(m)) is not None), reverse=True)
    failures = attempts[[*Outcome].index(Outcome.FAILED)][:FAILURES]
    oldest_at = instant(at_of(oldest[0])) if oldest else None
    stats = ChannelStats(delivered, failed, dead, pending, oldest_at, latencies(samples[:SAMPLES]))
    return _Channel(stats, samples[:SAMPLES], failures)


def _sample(member: bytes) -> Sample | None:
    """None for an attempt whose duration is unknown."""
    duration = member[member.rindex(b":") + 1 :]
    return (at_of(member), int(duration)) if duration else None


async def _recent(engine: Engine, keys: KeyNames, members: Sequence[bytes]) -> tuple[RecentFailure, ...]:
    attempts = [member[DIGITS:].decode().rsplit(":", 2)[:2] for member in members]
    commands = [
        command
        for delivery_id, number in attempts
        for command in (
            ("HMGET", keys.delivery(delivery_id), "type", "sub", "chan", number),
            ("HGET", keys.attempts_of(delivery_id), number),
        )
    ]
    replies = await engine.ask_all(commands)
    failures = []
    for (delivery_id, number), row, long in zip(attempts, replies[::2], replies[1::2], strict=True):
        type_, lane, channel, short = row
        if short or long:
            try:
                attempt = attempt_from(int(number), short or long)
            except READ_ERRORS as error:
                engine.unreadable.note("attempt", f"{delivery_id}:{number}", error)
                continue
            shown = (delivery_id, type_.decode(), lane.decode(), channel.decode())
            failures.append(RecentFailure(attempt.started_at, *shown, attempt.status_code, attempt.error))
    return tuple(failures)
