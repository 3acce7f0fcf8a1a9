"""Calls whose answer was lost on the way are made again and count once."""

from collections.abc import AsyncIterator

import pytest

from hub.models import FeedEntry, FeedKind, Record, TaskStatus
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.coordination import RedisLeases, RedisSchedules
from hub.stores.redis.feed import RedisFeed
from hub.stores.redis.records import RedisRecords
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.redis.tasks import RedisTasks
from tests.faults.toxic_proxy import ToxicProxy
from tests.hub.stores.redis.engines import engine_on
from tests.hub.stores.samples import TENANT, task
from tests.redis_servers import RedisServer

ENTRY = FeedEntry(TENANT, FeedKind.TASK_UPDATED, b"{}")


@pytest.fixture
async def proxy(valkey: RedisServer) -> AsyncIterator[ToxicProxy]:
    async with ToxicProxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture
async def engine(valkey: RedisServer, proxy: ToxicProxy) -> AsyncIterator[Engine]:
    async with engine_on(valkey.url(port=proxy.port)) as engine:
        yield engine


async def test_a_change_of_the_catalogue_is_written_once(engine: Engine, proxy: ToxicProxy) -> None:
    records = RedisRecords(engine, LossDetection(engine))
    await records.write([Record("key", TENANT, "one", b"1")], expected=0)
    proxy.lose_answer(b"EVALSHA")
    assert await records.write([Record("key", TENANT, "one", b"2")], [ENTRY], expected=1) == 2
    assert proxy.lost.is_set()
    assert await records.changes(0) == ([Record("key", TENANT, "one", b"2", 2)], 2)
    assert await RedisFeed(engine).bounds() == (0, 1)


async def test_a_task_that_ends_is_saved_once_and_its_process_hears_that_it_was(
    engine: Engine, proxy: ToxicProxy
) -> None:
    tasks = RedisTasks(engine, LossDetection(engine))
    await tasks.save(task(id="tsk_1"))
    proxy.lose_answer(b"EVALSHA")
    assert await tasks.save(task(id="tsk_1", status=TaskStatus.COMPLETED), [ENTRY])
    assert proxy.lost.is_set()
    assert not await tasks.save(task(id="tsk_1", status=TaskStatus.COMPLETED), [ENTRY])
    assert await RedisFeed(engine).bounds() == (0, 1)


async def test_a_right_is_taken_with_one_token(engine: Engine, proxy: ToxicProxy) -> None:
    leases = RedisLeases(engine)
    await leases.acquire("other", "one", 10)
    proxy.lose_answer(b"EVALSHA")
    assert await leases.acquire("leader", "one", 10) == 2
    assert proxy.lost.is_set()
    assert await leases.acquire("leader", "one", 10) == 2


async def test_the_run_of_a_schedule_is_noted(engine: Engine, proxy: ToxicProxy) -> None:
    schedules = RedisSchedules(engine)
    await schedules.record("retention", b"1", 1)
    proxy.lose_answer(b"EVALSHA")
    assert await schedules.record("retention", b"2", 2)
    assert proxy.lost.is_set()
    assert await schedules.runs() == {"retention": b"2"}
