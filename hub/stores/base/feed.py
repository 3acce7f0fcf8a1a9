"""The contract of the feed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hub.models import FeedRow


class Feed(ABC):
    """Every state change, in order, without holes."""

    @abstractmethod
    async def read(self, after: int, limit: int, tenant: str | None = None) -> Sequence[FeedRow]:
        """The entries with ids over `after`, ascending; of one tenant, or of all."""

    @abstractmethod
    async def wait(self, after: int) -> None:
        """Return once an entry with an id over `after` can be read."""

    @abstractmethod
    async def bounds(self) -> tuple[int, int]:
        """The highest id trimmed away and the highest id given, 0 for none: a reader at or over the first misses
        nothing."""
