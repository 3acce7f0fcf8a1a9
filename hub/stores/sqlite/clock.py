"""The time of the SQLite store, and the mark of clocks in it."""

from collections.abc import Sequence
from pathlib import Path

import apsw

from hub.stores.base import ClockMark, StoreClock
from hub.stores.clock_mark import accepted, decoded, encoded
from hub.stores.sqlite.database.errors import translate
from hub.stores.sqlite.database.opening import connect
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


def accept_clock(path: Path) -> bool:
    """Trust the clock from now on, as it is; False where it was trusted. A hub that is at work on the file sees it
    within a minute. Raises `HubError`."""
    try:
        connection = connect(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            if (mark := accepted(read_mark(connection))) is not None:
                write_mark(connection, mark)
            connection.execute("COMMIT")
        finally:
            connection.close()
    except apsw.Error as error:
        raise translate(error) from error
    return mark is not None
