"""Housekeeping in a Redis that is in trouble."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from shutil import rmtree

import pytest

from hub.errors import Unavailable
from hub.models import FeedEntry, FeedKind, Outcome, Status
from hub.stores import open_store
from hub.stores.base import DeliveryQuery, EventQuery, Page
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.coordination import RedisLeases
from hub.stores.redis.feed import RedisFeed
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.redis.tasks import RedisTasks
from hub.stores.redis.upkeep import RedisUpkeep
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import TENANT, claim, publish, result, task
from schedules.drain import drain
from tests.hub.stores.redis.engines import engine_on
from tests.redis_servers import VALKEY, RedisServer, new_prefix, wait_until


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, Engine]]:
    """On a server of its own."""
    with RedisServer(VALKEY, tmp_path / "server", appendonly="no", enable_protected_configs="yes") as server:
        async with engine_on(server.url()) as engine:
            yield server, engine


async def test_a_full_server_is_told_of_and_can_be_trimmed(engine: tuple[RedisServer, Engine]) -> None:
    server, calls = engine
    upkeep = RedisUpkeep(calls, LossDetection(calls))
    entry = FeedEntry(TENANT, FeedKind.TASK_UPDATED, b'"%s"' % (b"x" * 1_000))
    await RedisTasks(calls, LossDetection(calls)).save(task(), [entry] * 2_000)
    server.set(maxmemory="1mb")
    with pytest.raises(Unavailable, match="maxmemory"):
        await RedisTasks(calls, LossDetection(calls)).save(task())
    assert ["maxmemory" in sentence for sentence in await upkeep.check()] == [True]
    assert await RedisLeases(calls).acquire("leader", "one", 10) == 1, "who leads housekeeping goes on leading"
    clock = ManualClock()
    assert await drain(lambda limit: upkeep.trim_feed(START, 10, limit), clock.sleep, pause_seconds=0) == 1_990
    assert await RedisFeed(calls).bounds() == (1_990, 2_000)
    server.set(maxmemory="100mb")
    assert list(await upkeep.check()) == []


async def test_a_snapshot_that_could_not_be_written_is_told_of(
    engine: tuple[RedisServer, Engine], tmp_path: Path
) -> None:
    server, calls = engine
    gone = tmp_path / "gone"
    gone.mkdir()
    server.set(dir=str(gone))
    rmtree(gone)
    server.ask("BGSAVE")
    wait_until(lambda: not server.info("persistence")["rdb_bgsave_in_progress"])
    (sentence,) = await RedisUpkeep(calls, LossDetection(calls)).check()
    assert "snapshot" in sentence


async def test_a_server_that_is_away_is_told_of(engine: tuple[RedisServer, Engine]) -> None:
    server, calls = engine
    server.kill()
    (sentence,) = await RedisUpkeep(calls, LossDetection(calls)).check()
    assert "cannot be reached" in sentence


async def test_very_big_events_are_purged_whole_in_several_steps(valkey: RedisServer) -> None:
    async with open_store(valkey.url(), ManualClock()) as store:
        for _ in range(6):
            await publish(store, "sub_1", data=b'"%s"' % (b"x" * 3_000_000))
        await store.queue.finish([result(one, Status.DELIVERED) for one in await claim(store)])
        assert [(await store.upkeep.purge(START + timedelta(days=1), 100)).number for _ in range(3)] == [3, 3, 0]
        assert (await store.archive.events(TENANT, EventQuery(), Page())).items == ()


async def test_deliveries_of_an_event_that_was_lost_are_purged(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with open_store(valkey.url(prefix), ManualClock()) as store:
        lost = await publish(store, "sub_1", "sub_2")
        claims = await claim(store, "sub_1", "sub_2")
        valkey.ask("DEL", f"{{{prefix}}}:e:{lost.id}", f"{{{prefix}}}:s:{lost.id}")
        await store.queue.finish([result(one, Status.DEAD, Outcome.FAILED) for one in claims])
        assert (await store.upkeep.purge(START + timedelta(days=1), 100)).number == 1
        assert await store.archive.counts(TENANT, DeliveryQuery()) == {}


async def test_a_trimmed_feed_does_not_bring_back_what_was_lost(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with open_store(valkey.url(prefix), ManualClock()) as store:
        for _ in range(3):
            await publish(store)
        # as lua/lib/loss.lua does when the server had less than a process has seen
        valkey.ask("HSET", f"{{{prefix}}}:meta", "feed", 10, "trimmed", 10)
        await publish(store)
        await store.upkeep.trim_feed(START, 9, 100)
        assert await store.feed.bounds() == (10, 11)
