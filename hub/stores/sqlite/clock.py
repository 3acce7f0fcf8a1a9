"""The time of the SQLite store, and the mark of clocks in it."""

from collections.abc import Sequence

import apsw

from hub.stores.base import ClockMark, StoreClock
from hub.stores.clock_mark import decoded, encoded
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer


def read_mark(connection: apsw.Connection) -> ClockMark | None:
    """The mark that was kept last."""
    kept = connection.execute("SELECT mark FROM clock").get
    return None if kept is None else decoded(kept)


def write_mark(connection: apsw.Connection, mark: ClockMark) -> None:
    connection.execute("INSERT OR REPLACE INTO clock (id, mark) VALUES (1, ?)", (encoded(mark).decode(),))


def _keep(transaction: Transaction, marks: Sequence[ClockMark]) -> list[None]:
    write_mark(transaction.connection, marks[-1])
    return [None] * len(marks)


class SqliteClock(StoreClock):
    def __init__(self, writer: Writer, readers: Readers, timeline: Timeline) -> None:
        self._writer = writer
        self._readers = readers
        self._timeline = timeline

    async def now(self) -> int:
        return self._timeline.now()

    async def mark(self) -> ClockMark | None:
        return await self._readers.run(read_mark)

    async def keep(self, mark: ClockMark) -> None:
        await self._writer.submit(_keep, mark, vital=True)
