"""Moving everything that the SQLite store holds into another store, and from another into it."""

from collections.abc import Mapping, Sequence
from typing import Final

import apsw

from hub.stores.base import CopyState, Piece, Section, Transfer
from hub.stores.copy_state import COMPLETED, begun, copy_state
from hub.stores.group_commit import GROUP_ROWS
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.rows import fetch
from hub.stores.sqlite.transfer.exporter import read_piece
from hub.stores.sqlite.transfer.importer import write_pieces

_COUNTED: Final = (
    *(section for section in Section if section is not Section.COUNTERS),
    "deliveries",
    "attempts",
)


def _count(transaction: Transaction, calls: Sequence[None]) -> list[dict[str, int]]:
    """In the writer's thread, because counting may take longer than `READ_SECONDS`."""
    counts = {name: int(transaction.fetch(f"SELECT count(*) AS row FROM {name}")[0]) for name in _COUNTED}
    return [counts for _ in calls]


def _places(connection: apsw.Connection) -> dict[str, str]:
    """Where the last piece of each section ended, by section."""
    return dict(fetch(connection, "SELECT json_array(section, reached) AS row FROM transfer"))


class SqliteTransfer(Transfer):
    def __init__(self, writer: Writer, readers: Readers, timeline: Timeline) -> None:
        self._writer = writer
        self._readers = readers
        self._timeline = timeline

    async def totals(self) -> Mapping[str, int]:
        return await self._writer.submit(_count, None)

    async def read(self, section: Section, after: str, limit: int) -> Piece:
        return await self._readers.run(read_piece, section, after, limit, self._timeline.ahead())

    async def state(self) -> CopyState | None:
        return copy_state(await self._readers.run(_places))

    async def begin(self, source_mark: str, counters: Sequence[bytes]) -> None:
        await self.write(*begun(source_mark, counters))

    async def write(self, section: Section, piece: Piece) -> None:
        await self._writer.submit(write_pieces, (section, piece), rows=GROUP_ROWS)

    async def complete(self) -> None:
        await self.write(*COMPLETED)
