"""The writing thread: one commit for a group, errors of one item, locks. The rules of groups: test_group_commit.py."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import apsw

from hub.errors import HubError, Invalid, Unavailable
from hub.stores.group_commit import GROUP_ROWS
from hub.stores.sqlite.database.reserve import Reserve
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.testing.clock import ManualClock
from hub.testing.patience import PATIENCE_SECONDS


class Gate:
    """Holds the writer before its first commit until it is opened, and counts commits."""

    def __init__(self, *, closed: bool) -> None:
        self.commits = 0
        self.reached = threading.Event()
        self._open = threading.Event()
        if not closed:
            self._open.set()

    def open(self) -> None:
        self._open.set()

    def __call__(self, name: str) -> None:
        if name == "before_commit":
            self.reached.set()
            assert self._open.wait(PATIENCE_SECONDS)
            self.commits += 1


class Setup:
    def __init__(self, writer: Writer, gate: Gate, connection: apsw.Connection) -> None:
        self.writer = writer
        self.gate = gate
        self._connection = connection

    def written(self) -> list[int]:
        return [row[0] for row in self._connection.execute("SELECT x FROM t ORDER BY rowid")]

    async def fill_gate(self) -> "asyncio.Task[int]":
        """Have the writer stand before the commit of a first item, 0."""
        first = asyncio.create_task(self.writer.submit(insert, 0))
        await asyncio.to_thread(self.gate.reached.wait, PATIENCE_SECONDS)
        return first


@asynccontextmanager
async def setup(folder: Path, *, closed: bool = False) -> AsyncIterator[Setup]:
    path = str(folder / "t.db")
    connection = apsw.Connection(path)
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    gate = Gate(closed=closed)
    writer = Writer(connection, Timeline(ManualClock(), None), Reserve(folder / "reserve"), lambda feed_id: None, gate)
    reader = apsw.Connection(path)
    yield Setup(writer, gate, reader)
    gate.open()
    await writer.close()
    reader.close()
    connection.close()


def insert(transaction: Transaction, items: Sequence[int]) -> list[int | HubError]:
    outcomes: list[int | HubError] = []
    for item in items:
        if item < 0:
            outcomes.append(Invalid("below zero"))
        else:
            transaction.change("INSERT INTO t VALUES (?)", (item,))
            outcomes.append(item * 10)
    return outcomes


def explode(transaction: Transaction, items: Sequence[str]) -> list[None]:
    transaction.change("INSERT INTO t VALUES (999)")
    raise ZeroDivisionError


MANY: Final = range(1, 51)


async def test_a_lone_write_is_committed_at_once(tmp_path: Path) -> None:
    async with setup(tmp_path) as it:
        assert await it.writer.submit(insert, 1) == 10
        assert it.written() == [1]


async def test_one_items_error_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    async with setup(tmp_path, closed=True) as it:
        first = await it.fill_gate()
        rest = [asyncio.create_task(it.writer.submit(insert, n)) for n in (1, -1, 2)]
        await asyncio.sleep(0)
        it.gate.open()
        outcomes = await asyncio.gather(first, *rest, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [int, int, Invalid, int]
        assert it.written() == [0, 1, 2]


async def test_items_that_break_a_whole_group_fail_alone(tmp_path: Path) -> None:
    async with setup(tmp_path, closed=True) as it:
        first = await it.fill_gate()
        rest = [
            asyncio.create_task(it.writer.submit(insert, 1)),
            asyncio.create_task(it.writer.submit(explode, "x")),
            asyncio.create_task(it.writer.submit(insert, 0)),
            asyncio.create_task(it.writer.submit(insert, 2)),
        ]
        await asyncio.sleep(0)
        it.gate.open()
        outcomes = await asyncio.gather(first, *rest, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [int, int, ZeroDivisionError, HubError, int]
        assert it.written() == [0, 1, 2]
        assert await it.writer.submit(insert, 3) == 30


async def test_after_a_wait_for_a_lock_those_who_queued_up_meanwhile_are_answered_too(tmp_path: Path) -> None:
    async with setup(tmp_path) as it:
        other = apsw.Connection(str(tmp_path / "t.db"))
        other.execute("BEGIN IMMEDIATE")
        waits = 0

        def is_waited_for(times_asked: int) -> bool:
            nonlocal waits
            waits += times_asked == 0
            return times_asked < 3

        it.writer._connection.set_busy_handler(is_waited_for)
        groups = (it.writer.submit(insert, n, rows=GROUP_ROWS) for n in MANY)
        outcomes = await asyncio.gather(*groups, return_exceptions=True)
        assert 0 < waits < len(MANY) / 2, "each group did not wait for itself"
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        assert str(it.writer.trouble).startswith("Another process")
        other.execute("ROLLBACK")
        assert await it.writer.submit(insert, 1) == 10
        assert it.writer.trouble is None
        assert it.written() == [1]
        other.close()
