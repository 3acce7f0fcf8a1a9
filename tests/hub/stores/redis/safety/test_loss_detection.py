"""A server that lost what it had is noticed, said, and used again."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.models import Status
from hub.stores.base import Store, WriteOutcome
from tests.clock import ManualClock
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import SUBSCRIPTION, claim, publish, result
from tests.redis_servers import VALKEY, RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(VALKEY, tmp_path / "own", appendfsync="always") as server:
        yield server


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url("lost")


async def test_a_server_that_came_back_empty_is_said_to_be_and_used_again(store: Store, server: RedisServer) -> None:
    for _ in range(5):
        await publish(store, SUBSCRIPTION)
    assert await store.upkeep.check() == []
    server.ask("FLUSHALL")
    with capture_logs() as logs:
        new = await publish(store, SUBSCRIPTION)
    assert [(line["log_level"], line["feed_entries"]) for line in logs] == [("error", 5)]
    (complaint,) = await store.upkeep.losses()
    assert "had lost 5 feed entries" in complaint
    (claimed,) = await claim(store)
    assert claimed.event == new
    assert await store.queue.finish([result(claimed, Status.DELIVERED)]) == [WriteOutcome.RECORDED]
    assert list(await store.upkeep.losses()) == [complaint]
    assert await store.upkeep.check() == []


async def test_no_feed_id_is_given_twice_and_who_reads_on_is_told_of_the_gap(store: Store, server: RedisServer) -> None:
    for _ in range(5):
        await publish(store)
    server.ask("FLUSHALL")
    await publish(store)
    (row,) = await store.feed.read(0, 10)
    assert row.id > 5
    assert await store.feed.bounds() == (row.id - 1, row.id)


async def test_a_server_that_came_back_older_is_said_to_be(store: Store, server: RedisServer) -> None:
    await publish(store, SUBSCRIPTION)
    older = {key: server.ask("DUMP", key) for key in server.kept("lost")}
    for _ in range(3):
        await publish(store, SUBSCRIPTION)
    server.ask("FLUSHALL")
    for key, value in older.items():
        server.ask("RESTORE", key, 0, value)
    with capture_logs() as logs:
        await publish(store, SUBSCRIPTION)
    assert [line["feed_entries"] for line in logs] == [3]
    first, new = await store.feed.read(0, 10)
    assert first.id == 1
    assert new.id > 4
    assert len(await claim(store)) == 2


async def test_a_result_of_what_is_lost_is_fenced_and_the_loss_is_said(store: Store, server: RedisServer) -> None:
    await publish(store, SUBSCRIPTION)
    (claimed,) = await claim(store)
    server.ask("FLUSHALL")
    with capture_logs() as logs:
        assert await store.queue.finish([result(claimed, Status.DELIVERED)]) == [WriteOutcome.FENCED]
    assert len(logs) == 1


async def test_a_loss_that_several_processes_notice_is_counted_once(
    opened: OpenStore, clock: ManualClock, server: RedisServer
) -> None:
    store, another = await opened.open(), OpenStore(opened.url, clock)
    second = await another.open()
    for _ in range(4):
        await publish(store)
    await publish(second)
    server.ask("FLUSHALL")
    await publish(store)
    await publish(second)
    third = await another.reopen()
    (complaint,) = await third.upkeep.losses()
    assert "had lost 4 feed entries" in complaint
    first, new = await third.feed.read(0, 10)
    assert first.id > 5
    assert new.id == first.id + 1
    await another.close()


async def test_a_loss_is_complained_of_for_a_day(store: Store, server: RedisServer, clock: ManualClock) -> None:
    await publish(store)
    server.ask("FLUSHALL")
    await publish(store)
    clock.advance(timedelta(hours=23).total_seconds())
    assert len(await store.upkeep.losses()) == 1
    clock.advance(timedelta(hours=2).total_seconds())
    assert not await store.upkeep.losses()


async def test_a_restart_of_everything_is_no_loss(opened: OpenStore, server: RedisServer) -> None:
    await publish(await opened.open(), SUBSCRIPTION)
    await opened.close()
    server.stop()
    server.start()
    store = await opened.open()
    with capture_logs() as logs:
        await publish(store, SUBSCRIPTION)
    assert logs == []
    assert await store.upkeep.check() == []


@pytest.mark.parametrize("fed", [0, 10])
async def test_several_processes_that_begin_before_anything_was_written_see_no_loss(
    opened: OpenStore, clock: ManualClock, server: RedisServer, fed: int
) -> None:
    if fed:
        # As a copy of another store leaves it.
        server.ask("HSET", "{lost}:meta", "feed", fed, "trimmed", fed)
    first, another = await opened.open(), OpenStore(opened.url, clock)
    second = await another.open()
    with capture_logs() as logs:
        for _ in range(3):
            await publish(first)
        await second.records.changes(0)
        await publish(second)
        await publish(first)
    assert logs == []
    assert not await first.upkeep.losses()
    assert [row.id for row in await second.feed.read(fed, 10)] == [fed + n for n in range(1, 6)]
    await another.close()
