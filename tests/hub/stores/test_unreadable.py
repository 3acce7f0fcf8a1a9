"""One stored thing that cannot be read hides nothing of the others, in either store, and is told of once."""

from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import msgspec
import orjson
import pytest
from structlog.testing import capture_logs

from hub.errors import Unavailable
from hub.models import Cause, FeedEntry, FeedKind, Outcome, Status, TaskStatus
from hub.stores import StoreOptions, open_store
from hub.stores.base import Batch, DeliveryQuery, EventQuery, Page, Section, Store, TextSearch
from hub.stores.redis.keyspace.codec import document_digest
from hub.stores.redis.keyspace.idempotency import digest
from hub.stores.unreadable import FOREIGN_EVENT, Unreadable
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import (
    SUBSCRIPTION,
    TENANT,
    batch,
    claim,
    entry,
    event,
    idempotency,
    match,
    publish,
    result,
    task,
)
from tests.redis_servers import RedisServer, new_prefix

pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode


class Database:
    """Spoils what a database file holds."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path

    def event(self, id_: str) -> None:
        self._run("UPDATE events SET extensions = 'no JSON' WHERE id = ?", id_)

    def task(self, id_: str) -> None:
        self._run("UPDATE tasks SET doc = json_set(doc, '$.status', 'paused') WHERE id = ?", id_)

    def answer(self, key: str) -> None:
        self._run("UPDATE idempotency SET verdicts = '[[]]' WHERE key = ?", key)

    def _run(self, statement: str, *values: str) -> None:
        with closing(apsw.Connection(str(self._path))) as connection:
            connection.execute(statement, values)
            assert connection.changes() == 1


class Server:
    """Spoils what a Redis server holds, as a newer version would write it."""

    def __init__(self, server: RedisServer) -> None:
        prefix = new_prefix()
        self.url = server.url(prefix)
        self.ask = server.ask
        self.prefix = f"{{{prefix}}}"

    def event(self, id_: str) -> None:
        document = pack([*unpack(self.ask("GET", f"{self.prefix}:e:{id_}"))[:-1], {"parts": []}])
        self.ask("SET", f"{self.prefix}:e:{id_}", document)
        self.ask("HSET", f"{self.prefix}:s:{id_}", "sum", document_digest(document))

    def delivery(self, id_: str) -> None:
        self.ask("HSET", f"{self.prefix}:d:{id_}", "upd", "tomorrow")

    def task(self, id_: str) -> None:
        doc = orjson.loads(self.ask("HGET", f"{self.prefix}:task:{id_}", "doc"))
        self.ask("HSET", f"{self.prefix}:task:{id_}", "doc", orjson.dumps({**doc, "status": "paused"}))

    def answer(self, key: str) -> None:
        name = f"{self.prefix}:i:{TENANT}:{digest(key)}"
        record = unpack(self.ask("GET", name))
        self.ask("SET", name, pack([*record[:3], "[[]]", []]))


@pytest.fixture(params=["sqlite", "valkey"])
def spoil(request: pytest.FixtureRequest, tmp_path: Path) -> Database | Server:
    return Database(tmp_path / "hub.db") if request.param == "sqlite" else server_of(request)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    return server_of(request)


def server_of(request: pytest.FixtureRequest) -> Server:
    return Server(request.getfixturevalue("valkey"))


@pytest.fixture
def unreadable() -> Unreadable:
    return Unreadable()


@pytest.fixture
async def store(spoil: Database | Server, clock: ManualClock, unreadable: Unreadable) -> AsyncIterator[Store]:
    async with open_store(spoil.url, clock, StoreOptions(unreadable=unreadable)) as store:
        yield store


@pytest.fixture
async def on_redis(server: Server, clock: ManualClock, unreadable: Unreadable) -> AsyncIterator[Store]:
    async with open_store(server.url, clock, StoreOptions(unreadable=unreadable)) as store:
        yield store


async def listed(store: Store, limit: int) -> list[str]:
    """The ids of all events, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = await store.archive.events(TENANT, EventQuery(), Page(limit, cursor))
        found += [one.id for one in page.items]
        if (cursor := page.next_cursor) is None:
            return found


# -- events and their deliveries -------------------------------------------------------------------------------------


async def test_an_event_that_cannot_be_read_is_claimed_as_damaged_and_the_others_go_on(
    store: Store, spoil: Database | Server, clock: ManualClock
) -> None:
    foreign, whole = await publish(store, SUBSCRIPTION), await publish(store, SUBSCRIPTION)
    spoil.event(foreign.id)
    claims = await claim(store, lease=1.0)
    assert [(one.event.id, one.damage) for one in claims] == [(foreign.id, FOREIGN_EVENT), (whole.id, None)]
    clock.advance(2)
    taken = await store.queue.reclaim(100)
    assert {(one.event.id, one.damage) for one in taken} == {(foreign.id, FOREIGN_EVENT), (whole.id, None)}


async def test_fan_outs_that_cannot_be_read_hide_none_behind_them(
    store: Store, spoil: Database | Server, unreadable: Unreadable
) -> None:
    new = [event(accepted_at=START + timedelta(milliseconds=n)) for n in range(8)]
    for one in new:
        await store.intake.accept(batch(entry(one, fan_out=match(SUBSCRIPTION))))
    for one in new[:5]:
        spoil.event(one.id)
    assert [found.event.id for found in await store.intake.fan_outs(2)] == [one.id for one in new[5:7]]
    assert [found.event.id for found in await store.intake.fan_outs(10)] == [one.id for one in new[5:]]
    assert unreadable.total == 5


async def test_lists_go_on_behind_an_event_that_cannot_be_read(
    store: Store, spoil: Database | Server, unreadable: Unreadable
) -> None:
    new = [await publish(store, SUBSCRIPTION, accepted_at=START + timedelta(seconds=n)) for n in range(5)]
    for one in new[2:4]:
        spoil.event(one.id)
    left = [new[4].id, new[1].id, new[0].id]
    with capture_logs() as lines:
        assert [await listed(store, limit) for limit in (1, 2, 5)] == [left, left, left]
        assert await store.archive.event(TENANT, new[2].id) is None
    assert sorted((line["event"], line["kind"], line["id"]) for line in lines) == [
        ("stored.unreadable", "event", one.id) for one in sorted(new[2:4], key=lambda one: one.id)
    ]
    assert unreadable.total == 2
    search = TextSearch("12.00", ())
    found = await store.archive.events(TENANT, EventQuery(search=search), Page(200))
    assert {*(one.id for one in found.items)} <= {*left}


async def test_a_delivery_that_cannot_be_read_hides_no_other(server: Server, on_redis: Store) -> None:
    store = on_redis
    new = await publish(store, "sub_1", "sub_2", "sub_3")
    claims = await claim(store, "sub_1", "sub_2", "sub_3", lease=1.0)
    spoiled, *whole = claims
    server.delivery(spoiled.delivery.id)
    found = await store.archive.deliveries(TENANT, DeliveryQuery(event_id=new.id), Page(200))
    assert {one.id for one in found.items} == {one.delivery.id for one in whole}
    assert len(await store.queue.reclaim(100, all_owners=True)) == 2


async def test_words_that_only_a_newer_version_knows_are_read_as_they_are(store: Store) -> None:
    await publish(store, SUBSCRIPTION)
    (claimed,) = await claim(store)
    done = result(claimed, Status.DELIVERED)
    assert done.attempt is not None
    attempt = done.attempt.model_copy(update={"cause": "digest", "outcome": "throttled"})
    noted = FeedEntry(TENANT, FeedKind("delivery.noted"), b"{}", status="paused")
    await store.queue.finish([done.__class__(done.delivery, attempt, (noted,))])
    (kept,) = await store.archive.attempts(TENANT, claimed.delivery.id)
    assert (kept.cause, kept.outcome, isinstance(kept.cause, Cause)) == ("digest", "throttled", True)
    assert orjson.loads(kept.model_dump_json())["cause"] == "digest"
    *_, row = await store.feed.read(0, 100)
    assert (row.entry.kind, row.entry.status) == ("delivery.noted", "paused")
    await store.archive.stats(TENANT, START, None)


# -- tasks and answers -----------------------------------------------------------------------------------------------


async def test_tasks_that_cannot_be_read_hide_none_behind_them(store: Store, spoil: Database | Server) -> None:
    made = [task(created_at=START + timedelta(seconds=n), owner="dead") for n in range(6)]
    for one in made:
        await store.tasks.save(one)
    for one in made[:3]:
        spoil.task(one.id)
    assert [one.id for one in await store.tasks.unfinished(2)] == [one.id for one in made[3:5]]
    spoil.task(made[5].id)
    pages, cursor = list[str](), None
    while True:
        page = await store.tasks.tasks(TENANT, Page(1, cursor))
        pages += [one.id for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert pages == [made[4].id, made[3].id]
    assert await store.tasks.task(TENANT, made[0].id) is None


async def test_members_that_only_a_newer_version_knows_stay_with_a_task(store: Store) -> None:
    newer = task()
    newer._unknown = {"zone": "eu"}
    await store.tasks.save(newer)
    read = await store.tasks.task(TENANT, newer.id)
    assert read is not None
    assert "zone" not in read.model_dump()
    await store.tasks.save(read.model_copy(update={"status": TaskStatus.FAILED}))
    ended = await store.tasks.task(TENANT, newer.id)
    assert ended is not None
    assert (ended.status, ended.document()["zone"]) == (TaskStatus.FAILED, "eu")


async def test_an_answer_that_cannot_be_read_is_asked_of_another_process(
    store: Store, spoil: Database | Server
) -> None:
    def asked(key: str) -> Batch:
        return batch(entry(event()), idempotency=idempotency(key))

    await store.intake.accept(asked("spoiled"))
    first = await store.intake.accept(asked("whole"))
    spoil.answer("spoiled")
    with pytest.raises(Unavailable):
        await store.intake.recall(TENANT, idempotency("spoiled"))
    with pytest.raises(Unavailable):
        await store.intake.accept(asked("spoiled"))
    assert (await store.intake.accept(asked("whole"))).verdicts == first.verdicts


# -- damage on a server ----------------------------------------------------------------------------------------------


async def test_bytes_that_are_no_message_pack_stop_neither_accepting_nor_retention(
    server: Server, on_redis: Store
) -> None:
    store, prefix = on_redis, server.prefix
    lost, whole = await publish(store, SUBSCRIPTION), await publish(store, SUBSCRIPTION)
    key = idempotency("key")
    await store.intake.accept(batch(entry(event()), idempotency=key))
    server.ask("SET", f"{prefix}:i:{TENANT}:{digest('key')}", b"\xc1")
    assert await store.intake.recall(TENANT, key) is None
    (again,) = (await store.intake.accept(batch(entry(event()), idempotency=key))).verdicts
    assert again.status == "accepted"
    await store.queue.finish([result(one, Status.DEAD, Outcome.FAILED) for one in await claim(store)])
    (delivery,) = [
        one.id
        for one in (await store.archive.deliveries(TENANT, DeliveryQuery(), Page(200))).items
        if one.event_id == lost.id
    ]
    server.ask("SET", f"{prefix}:e:{lost.id}", b"\xc1")
    server.ask("HSET", f"{prefix}:d:{delivery}", "1", b"\xc1")
    assert await store.archive.attempts(TENANT, delivery) == []
    assert len((await store.archive.stats(TENANT, START, None)).recent_failures) == 1
    assert (await store.upkeep.purge(START + timedelta(days=1), 100)).number == 4
    assert whole.id not in await listed(store, 10)


async def test_an_entry_of_the_feed_that_cannot_be_read_makes_no_hole(server: Server, on_redis: Store) -> None:
    store = on_redis
    for _ in range(3):
        await publish(store)
    server.ask("XDEL", f"{server.prefix}:feed", "2-0")
    server.ask("DEL", f"{server.prefix}:feed")
    for number, packed in enumerate((b"\xc1", pack(["ten_a", "thing.newer", "{}", None, None, None, None, "eu"])), 4):
        server.ask("XADD", f"{server.prefix}:feed", f"{number}-0", "at", 0, "entry", packed)
    rows = await store.feed.read(0, 10)
    assert [(row.id, row.entry.tenant, row.entry.kind) for row in rows] == [
        (4, "", "unreadable"),
        (5, TENANT, "thing.newer"),
    ]
    assert [row.id for row in await store.feed.read(0, 10, TENANT)] == [5]
    assert len((await store.transfer.read(Section.FEED, "", 10)).documents) == 2


async def test_a_copy_takes_what_cannot_be_read_in_its_place_or_stops(server: Server, on_redis: Store) -> None:
    store = on_redis
    foreign = await publish(store, SUBSCRIPTION)
    (claimed,) = await claim(store)
    await store.queue.finish([result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=START)])
    server.event(foreign.id)
    server.ask("HSET", f"{server.prefix}:d:{claimed.delivery.id}", "1", b"\xc1")
    (document,) = map(orjson.loads, (await store.transfer.read(Section.EVENTS, "", 10)).documents)
    (delivery,) = document["deliveries"]
    attempt: list[Any] = delivery["attempts"]["1"]
    assert (delivery["status"], attempt[3]) == ("dead", "unknown")
