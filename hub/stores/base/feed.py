"""The contract of the feed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hub.models import FeedRow


class Feed(ABC):
    """Every state change, in order and without gaps."""

    @abstractmethod
    async def read(self, after: int, limit: int, tenant: str | None = None) -> Sequence[FeedRow]:
        """At most `limit` entries with ids over `after`, ascending; of one tenant, or of all."""

    @abstractmethod
    async def wait(self, after: int) -> None:
        """Return when an entry with an id over `after` can be read."""

    @abstractmethod
    async def bounds(self) -> tuple[int, int]:
        """The highest id that was trimmed away and the highest id that was given, each 0 for none.

        A reader whose cursor is at the first or over it misses nothing.
        """
