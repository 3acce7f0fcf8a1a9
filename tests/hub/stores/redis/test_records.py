"""The catalogue in Redis, where it is big or long in use."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from hub.models import FeedEntry, FeedKind, Record
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.feed import RedisFeed
from hub.stores.redis.records import RedisRecords
from hub.stores.redis.safety.loss_detection import LossDetection
from tests.hub.stores.redis.engines import engine_on
from tests.hub.stores.samples import TENANT
from tests.redis_servers import RedisServer


@pytest.fixture
async def engine(valkey: RedisServer) -> AsyncIterator[Engine]:
    async with engine_on(valkey.url()) as engine:
        yield engine


async def test_more_records_than_one_step_reads_are_read_whole(engine: Engine) -> None:
    records = RedisRecords(engine, LossDetection(engine))
    many = [Record("subscription", TENANT, f"sub_{n:04}", b"{}") for n in range(2_500)]
    first = await records.write(many[:1_200])
    second = await records.write(many[1_200:])
    everything, version = await records.changes(0)
    assert version == second
    assert [(one.id, one.version) for one in everything] == [
        (one.id, first if n < 1_200 else second) for n, one in enumerate(many)
    ]
    later, _ = await records.changes(first)
    assert [one.id for one in later] == [one.id for one in many[1_200:]]


async def test_what_is_kept_does_not_grow_with_the_changes_of_one_record(engine: Engine) -> None:
    records = RedisRecords(engine, LossDetection(engine))
    for n in range(20):
        await records.write([Record("subscription", TENANT, "sub_1", str(n).encode())])
    assert await engine.ask("ZCARD", f"{engine.prefix}:record-versions") == 1
    assert await engine.ask("HLEN", f"{engine.prefix}:records") == 1


CHANGE = Record("subscription", TENANT, "sub_1", b"{}")
ENTRY = FeedEntry(TENANT, FeedKind.SUBSCRIPTION_ENABLED, b"{}")


async def lose_everything(engine: Engine) -> None:
    await engine.ask("DEL", *(f"{engine.prefix}:{name}" for name in ("meta", "feed", "signals")))


async def test_after_a_loss_the_feed_entries_of_a_change_get_new_ids(engine: Engine) -> None:
    records = RedisRecords(engine, LossDetection(engine))
    for _ in range(3):
        await records.write([CHANGE], [ENTRY])
    await lose_everything(engine)
    with capture_logs() as logs:
        await records.write([CHANGE], [ENTRY])
    assert [line["feed_entries"] for line in logs] == [3]
    (row,) = await RedisFeed(engine).read(0, 10)
    assert row.id > 3


async def test_after_a_loss_ids_are_new_to_those_too_who_saw_more_than_the_first_to_write(engine: Engine) -> None:
    writer, reader = RedisRecords(engine, LossDetection(engine)), RedisRecords(engine, LossDetection(engine))
    for _ in range(3):
        await writer.write([CHANGE], [ENTRY])
    await reader.changes(0)
    for _ in range(3):
        await writer.write([CHANGE], [ENTRY])
    await lose_everything(engine)
    with capture_logs() as logs:
        await reader.write([CHANGE], [ENTRY])
    assert [line["feed_entries"] for line in logs] == [3]
    (row,) = await RedisFeed(engine).read(0, 10)
    assert row.id > 6


async def test_a_reader_of_changes_has_everything_that_was_written_meanwhile(engine: Engine) -> None:
    """The catalogue is read in several parts, and a record that is written again moves to its end meanwhile."""
    records = RedisRecords(engine, LossDetection(engine))
    many = [Record("subscription", TENANT, f"sub_{n:04}", b"0") for n in range(2_500)]
    await records.write(many)
    writing = asyncio.create_task(write_each(records, many[::10]))
    known: dict[str, bytes | None] = {}
    version = 0
    while True:
        over = writing.done()
        changed, version = await records.changes(version)
        known |= {one.id: one.doc for one in changed}
        if over:
            break
    await writing
    assert known == {one.id: b"1" if n % 10 == 0 else b"0" for n, one in enumerate(many)}


async def write_each(records: RedisRecords, changed: Sequence[Record]) -> None:
    for one in changed:
        await records.write([replace(one, doc=b"1")])
