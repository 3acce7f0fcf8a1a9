"""The rules of group commit, on both stores that follow them: SQLite's writer, and the calls to a Valkey."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from hub.errors import HubError, Invalid, Unavailable
from hub.stores.group_commit import GROUP_ROWS, WAITING_ROWS, Backlog, settle
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.group_commit import GroupCommit
from hub.stores.sqlite.database.reserve import Reserve
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.testing.clock import ManualClock
from hub.testing.patience import PATIENCE_SECONDS
from tests.hub.stores.redis.engines import engine_on
from tests.redis_servers import RedisServer


def outcome_of(item: int) -> int | HubError:
    return item * 10 if item >= 0 else Invalid("below zero")


class Owner(ABC):
    """One of the two that write in groups, with a list of numbers in its store. It can be held before it writes."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        """The items of each group that was written."""

    @abstractmethod
    def submit(self, item: int, *, rows: int = 1, vital: bool = False) -> Coroutine[Any, Any, int]: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def hold(self) -> "asyncio.Task[int]":
        """Submit a first item, 0, and return when its group is about to be written, but is not."""

    @abstractmethod
    def go_on(self) -> None: ...

    @abstractmethod
    async def written(self) -> list[int]: ...


class SqliteOwner(Owner):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._connection = apsw.Connection(str(folder / "t.db"))
        self._connection.pragma("journal_mode", "wal")
        self._connection.execute("CREATE TABLE t (x INTEGER)")
        self._reader = apsw.Connection(str(folder / "t.db"))
        self._reached, self._open = threading.Event(), threading.Event()
        self._open.set()
        reserve, timeline = Reserve(folder / "reserve"), Timeline(ManualClock(), None)
        self._writer = Writer(self._connection, timeline, reserve, lambda feed_id: None, self._stop)

    def submit(self, item: int, *, rows: int = 1, vital: bool = False) -> Coroutine[Any, Any, int]:
        return self._writer.submit(self._insert, item, rows=rows, vital=vital)

    async def close(self) -> None:
        await self._writer.close()

    async def hold(self) -> "asyncio.Task[int]":
        self._open.clear()
        first = asyncio.create_task(self.submit(0))
        assert await asyncio.to_thread(self._reached.wait, PATIENCE_SECONDS)
        return first

    def go_on(self) -> None:
        self._open.set()

    async def written(self) -> list[int]:
        return [row[0] for row in self._reader.execute("SELECT x FROM t ORDER BY rowid")]

    def end(self) -> None:
        self._reader.close()
        self._connection.close()

    def _stop(self, name: str) -> None:
        if name == "before_commit":
            self._reached.set()
            assert self._open.wait(PATIENCE_SECONDS)

    def _insert(self, transaction: Transaction, items: Sequence[int]) -> list[int | HubError]:
        self.groups.append(list(items))
        for item in items:
            if item >= 0:
                transaction.change("INSERT INTO t VALUES (?)", (item,))
        return [outcome_of(item) for item in items]


class RedisOwner(Owner):
    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._key = f"{engine.prefix}:written"
        self._reached, self._open = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._calls = GroupCommit("write", self._push, lambda name: None)

    def submit(self, item: int, *, rows: int = 1, vital: bool = False) -> Coroutine[Any, Any, int]:
        return self._calls.submit(item, rows=rows, vital=vital)

    async def close(self) -> None:
        await self._calls.close()

    async def hold(self) -> "asyncio.Task[int]":
        self._open.clear()
        first = asyncio.create_task(self.submit(0))
        await asyncio.wait_for(self._reached.wait(), PATIENCE_SECONDS)
        return first

    def go_on(self) -> None:
        self._open.set()

    async def written(self) -> list[int]:
        return [int(item) for item in await self._engine.ask("LRANGE", self._key, 0, -1)]

    async def _push(self, number: int, items: Sequence[int]) -> list[int | HubError]:
        self._reached.set()
        await asyncio.wait_for(self._open.wait(), PATIENCE_SECONDS)
        self.groups.append(list(items))
        assert number == len(self.groups), "calls are numbered without a gap"
        if good := [item for item in items if item >= 0]:
            await self._engine.ask("RPUSH", self._key, *good)
        return [outcome_of(item) for item in items]


@asynccontextmanager
async def open_owner(kind: str, folder: Path, server: RedisServer) -> AsyncIterator[Owner]:
    if kind == "sqlite":
        writer = SqliteOwner(folder)
        yield writer
        writer.go_on()
        await writer.close()
        writer.end()
    else:
        async with engine_on(server.url()) as engine:
            calls = RedisOwner(engine)
            yield calls
            calls.go_on()
            await calls.close()


@pytest.fixture(params=["sqlite", "redis"])
async def owner(request: pytest.FixtureRequest, tmp_path: Path, valkey: RedisServer) -> AsyncIterator[Owner]:
    async with open_owner(request.param, tmp_path, valkey) as owner:
        yield owner


async def submitted(*work: Coroutine[Any, Any, int]) -> "list[asyncio.Task[int]]":
    """The work as tasks that have come as far as their futures."""
    tasks = [asyncio.create_task(one) for one in work]
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_a_group_is_written_is_the_next_group_in_its_order(owner: Owner) -> None:
    first = await owner.hold()
    rest = await submitted(*map(owner.submit, range(1, 51)))
    owner.go_on()
    assert await first == 0
    assert await asyncio.gather(*rest) == [n * 10 for n in range(1, 51)]
    assert owner.groups == [[0], [*range(1, 51)]]
    assert await owner.written() == [*range(51)]


async def test_a_group_ends_before_the_job_that_does_not_fit_and_one_that_fits_none_is_alone(owner: Owner) -> None:
    first = await owner.hold()
    rest = await submitted(
        owner.submit(1, rows=GROUP_ROWS - 1),
        owner.submit(2),
        owner.submit(3, rows=10 * GROUP_ROWS),
        owner.submit(4, rows=GROUP_ROWS),
        owner.submit(5),
    )
    owner.go_on()
    await asyncio.gather(first, *rest)
    assert owner.groups == [[0], [1, 2], [3], [4], [5]]


async def test_an_items_error_is_raised_to_its_submitter_alone(owner: Owner) -> None:
    outcomes = await asyncio.gather(*map(owner.submit, (1, -1, 2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [int, Invalid, int]
    assert await owner.written() == [1, 2]


async def test_nothing_is_written_of_a_job_whose_submitter_was_cancelled_before_its_turn(owner: Owner) -> None:
    first = await owner.hold()
    gone, *rest = await submitted(owner.submit(1), owner.submit(2))
    gone.cancel()
    await asyncio.wait([gone])
    owner.go_on()
    await asyncio.gather(first, *rest)
    assert await owner.written() == [0, 2]


async def test_a_group_of_cancelled_jobs_alone_holds_up_nothing(owner: Owner) -> None:
    first = await owner.hold()
    gone = await submitted(*(owner.submit(n, rows=GROUP_ROWS) for n in (1, 2)))
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)
    rest = await submitted(owner.submit(3))
    owner.go_on()
    await asyncio.gather(first, *rest)
    assert owner.groups == [[0], [3]]


async def test_a_submitter_that_is_cancelled_while_its_group_is_written_leaves_the_others_their_outcomes(
    owner: Owner,
) -> None:
    first = await owner.hold()
    first.cancel()
    await asyncio.wait([first])
    rest = await submitted(owner.submit(1))
    owner.go_on()
    assert await asyncio.gather(*rest) == [10]
    assert await owner.written() == [0, 1]


async def test_too_much_waiting_is_refused_but_not_what_is_vital(owner: Owner) -> None:
    first = await owner.hold()
    (heavy,) = await submitted(owner.submit(1, rows=WAITING_ROWS))
    with pytest.raises(Unavailable, match="slow down") as refused:
        await owner.submit(2)
    assert refused.value.retry_after
    (vital,) = await submitted(owner.submit(3, vital=True))
    owner.go_on()
    await asyncio.gather(first, heavy, vital)
    assert await owner.submit(4) == 40
    assert await owner.written() == [0, 1, 3, 4]


async def test_the_rows_of_a_cancelled_job_refuse_nothing(owner: Owner) -> None:
    first = await owner.hold()
    (heavy,) = await submitted(owner.submit(1, rows=WAITING_ROWS))
    heavy.cancel()
    await asyncio.wait([heavy])
    rest = await submitted(owner.submit(2))
    owner.go_on()
    await asyncio.gather(first, *rest)
    assert await owner.written() == [0, 2]


async def test_closing_writes_what_was_submitted_and_refuses_what_comes_later(owner: Owner) -> None:
    first = await owner.hold()
    (second,) = await submitted(owner.submit(1))
    closing = asyncio.create_task(owner.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="shutting down"):
        await owner.submit(2)
    owner.go_on()
    await closing
    assert (await first, await second) == (0, 10)
    assert await owner.written() == [0, 1]


async def test_what_is_drained_is_in_no_group() -> None:
    backlog: Backlog[int] = Backlog("the store")
    waiting = await submitted(*(backlog.submit(n, rows=GROUP_ROWS) for n in range(3)))
    (first,) = backlog.take()
    settle((job, Unavailable("away")) for job in [first, *backlog.drain()])
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["away"] * 3
    assert backlog.take() == []


async def test_a_backlog_that_was_closed_and_drained_waits_for_nothing() -> None:
    backlog: Backlog[int] = Backlog("the store")
    waiting = await submitted(backlog.submit(1))
    backlog.close()
    settle((job, job.item) for job in backlog.drain())
    assert await asyncio.gather(*waiting) == [1]
    assert backlog.take(wait=True) == backlog.take(wait=True) == []
