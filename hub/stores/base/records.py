"""The contract of the catalogue's records."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hub.models import FeedEntry, Record


class Records(ABC):
    """The catalogue's records: small documents, few enough that every process keeps all of them in memory."""

    @abstractmethod
    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        """Write records (or delete those without a doc) as one, and give the new version. `Record.version` is ignored.

        Raises `StaleCatalogue`, and writes nothing, when `expected` is not the current version.
        """

    @abstractmethod
    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        """The records written after version `since`, deleted ones too, and the current version.

        After 0: all records that are not deleted.
        """
