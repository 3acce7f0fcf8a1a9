"""One write transaction as the writer's handlers see it, in few, large statements."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import apsw

from hub.models import FeedEntry
from hub.stores.sqlite.rows import FEED_MEMBERS, Cells, Values, fetch
from hub.stores.stored import feed_entries
from hub.stores.unreadable import Unreadable

_SIZES = (1, 4, 16, 64, 256)
"""How many rows a statement takes: few sizes, so that APSW finds its prepared statements again."""


class Transaction:
    """Used in the writer's thread only. All that is done with it is committed, or nothing is."""

    def __init__(self, connection: apsw.Connection, now: int, ahead: int, unreadable: Unreadable) -> None:
        self.connection = connection
        self.now = now
        """The one instant of the whole transaction by the store's time, in milliseconds: what waits is judged by it."""
        self.ahead = ahead
        """By how many milliseconds the time of day is ahead of that."""
        self.unreadable = unreadable
        """Is told of rows that are passed over."""
        self.feed_id = 0
        """The last feed entry that was written in it, 0 for none."""

    @property
    def wall(self) -> int:
        """The time of day, by which what people gave is judged, and what is shown is written."""
        return self.now + self.ahead

    def fetch(self, query: str, values: Values = ()) -> list[Any]:
        """See `rows.fetch`."""
        return fetch(self.connection, query, values)

    def change(self, statement: str, values: Values = ()) -> int:
        """How many rows the statement changed."""
        return self.connection.execute(statement, values).connection.changes()

    def change_each(self, statement: str, columns: str, rows: Sequence[Cells]) -> None:
        """Run a statement that reads `new`, a table of the rows. The first column of a row is never None."""
        width = columns.count(",") + 1
        places = f"({', '.join('?' * width)})"
        for start in range(0, len(rows), _SIZES[-1]):
            part = rows[start : start + _SIZES[-1]]
            size = next(size for size in _SIZES if size >= len(part))
            # Rows of None fill the statement up; its own condition leaves them out.
            padding = (None,) * (width * (size - len(part)))
            self.connection.execute(
                f"WITH new ({columns}) AS (VALUES {', '.join([places] * size)}) {statement}",
                tuple(chain(chain.from_iterable(part), padding)),
            )

    def insert(
        self,
        table: str,
        columns: str,
        rows: Sequence[Cells],
        *,
        replace: bool = False,
    ) -> None:
        """Insert all rows, or replace those that are there."""
        # With FAIL, SQLite needs no journal for the statement; on an error the whole transaction is rolled back anyway.
        first = columns.partition(",")[0]
        conflict = "REPLACE" if replace else "FAIL"
        statement = f"INSERT OR {conflict} INTO {table} ({columns}) SELECT * FROM new WHERE {first} IS NOT NULL"
        self.change_each(statement, columns, rows)

    def append(self, entries: Iterable[FeedEntry]) -> None:
        """Write feed entries, in order."""
        rows = [(*feed_entries.values(entry), self.wall) for entry in entries]
        if rows:
            self.insert("feed", f"{FEED_MEMBERS}, written_at", rows)
            self.feed_id = self.connection.last_insert_rowid()
