"""The contract of the catalogue's documents."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hub.models import FeedEntry, Record


class Records(ABC):
    """The catalogue's documents: few, small, read by everyone, so each process keeps them all in memory."""

    @abstractmethod
    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        """Write (or, without a doc, delete) as one and give the new version; `Record.version` is ignored.

        Raises `StaleCatalogue`, writing nothing, when `expected` is not the current version.
        """

    @abstractmethod
    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        """What was written after version `since`, deletions too, and the current version. Since 0: all live ones."""
