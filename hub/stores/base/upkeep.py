"""The contract of what housekeeping needs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime


class Upkeep(ABC):
    """What housekeeping needs of a store. Each call removes at most `limit`: call again until it gives 0."""

    @abstractmethod
    async def purge(self, before: datetime, limit: int) -> int:
        """Remove events accepted before this, with their deliveries and attempts, and give how many events.

        An event stays while one of its deliveries is pending or sending, or its fan-out is under way.
        """

    @abstractmethod
    async def purge_expired(self, limit: int) -> int:
        """Remove expired idempotency records, and tasks that ended over a week ago. Gives how many."""

    @abstractmethod
    async def trim_feed(self, before: datetime, keep: int, limit: int) -> int:
        """Remove feed entries written before this, and all but the newest `keep`. Gives how many."""

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """What is wrong with the store now: sentences that say what to do. Empty when it accepts and answers."""

    @abstractmethod
    async def losses(self) -> Sequence[str]:
        """What the store is known to have lost lately, in sentences too. It accepts and answers all the same."""
