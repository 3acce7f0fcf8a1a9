"""The end of the feed as processes follow it over Redis."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hub.errors import Unavailable
from hub.models import FeedEntry, FeedKind
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.feed import open_feed
from hub.stores.redis.keyspace.codec import packed_entry
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.redis.tasks import RedisTasks
from hub.testing.patience import soon
from hub.testing.stores.samples import TENANT, task
from tests.hub.stores.redis.engines import engine_on
from tests.redis_servers import VALKEY, RedisServer

ENTRY = FeedEntry(TENANT, FeedKind.TASK_UPDATED, b"{}")


async def append(engine: Engine) -> None:
    await RedisTasks(engine, LossDetection(engine)).save(task(), [ENTRY])


async def test_who_waits_in_another_process_is_told_at_once(valkey: RedisServer) -> None:
    url = valkey.url()
    async with engine_on(url) as here, engine_on(url) as there, open_feed(there) as feed:
        waiting = [asyncio.create_task(feed.wait(0)) for _ in range(50)]
        await asyncio.sleep(0.05)
        await append(here)
        await soon(asyncio.gather(*waiting))
        assert feed.last == 1


async def test_nothing_is_read_while_nobody_waits(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine, open_feed(engine) as feed:
        waiting = asyncio.create_task(feed.wait(0))
        await append(engine)
        await waiting
        await asyncio.sleep(0.05)
        calls = engine.round_trips
        await append(engine)
        await asyncio.sleep(0.05)
        assert engine.round_trips <= calls + 2, "the write, and the read that was under way"


async def test_waiting_goes_on_over_a_restart_of_the_server(tmp_path: Path) -> None:
    with RedisServer(VALKEY, tmp_path, appendfsync="always") as server:
        async with engine_on(server.url()) as engine, open_feed(engine) as feed:
            await append(engine)
            waiting = asyncio.create_task(feed.wait(1))
            await asyncio.sleep(0.05)
            server.kill()
            await asyncio.sleep(0.05)
            server.start()
            await append(engine)
            await soon(waiting)
            assert [row.id for row in await feed.read(0, 10)] == [1, 2]


async def test_those_who_wait_when_the_store_closes_are_told(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine:
        async with open_feed(engine) as feed:
            waiting = asyncio.create_task(feed.wait(0))
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await waiting


async def test_the_entries_of_a_quiet_tenant_are_found_without_reading_those_of_the_others(valkey: RedisServer) -> None:
    quiet = FeedEntry("quiet " + "x" * 40, FeedKind.TASK_UPDATED, b"{}")
    async with engine_on(valkey.url()) as engine, open_feed(engine) as feed:
        tasks = RedisTasks(engine, LossDetection(engine))
        for _ in range(10):
            await tasks.save(task(), [ENTRY] * 990 + [replace(ENTRY, tenant="quiet")] * 10)
        await tasks.save(task(), [quiet])
        assert await feed.read(0, 500, "nobody") == []
        calls = engine.round_trips
        assert [row.id for row in await feed.read(0, 500, quiet.tenant)] == [10_001]
        assert await feed.read(10_001, 500, quiet.tenant) == []
        assert engine.round_trips - calls <= 2
        ids = [1_000 * part + place for part in range(10) for place in range(991, 1_001)]
        assert [row.id for row in await feed.read(0, 500, "quiet")] == ids
        assert [row.id for row in await feed.read(1_995, 7, "quiet")] == [*range(1_996, 2_001), 2_991, 2_992]
        assert len(await feed.read(0, 5_000, TENANT)) == 5_000


async def test_what_an_older_version_appends_is_read_as_well(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine, open_feed(engine) as feed:

        async def append_as_before() -> None:
            id_ = await engine.ask("HINCRBY", f"{engine.prefix}:meta", "feed", 1)
            await engine.ask("XADD", f"{engine.prefix}:feed", f"{id_}-0", "at", 0, "entry", packed_entry(ENTRY))

        for turn in range(1, 4):
            await append_as_before()
            await append(engine)
            await append(engine)
            await append_as_before()
            for after in (0, 1, 4 * turn - 3, 4 * turn - 1):
                found = [row.id for row in await feed.read(after, 500, TENANT)]
                assert found == [*range(after + 1, 4 * turn + 1)], (turn, after)
