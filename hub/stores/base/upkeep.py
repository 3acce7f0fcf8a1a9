"""The contract of what housekeeping needs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime


class Upkeep(ABC):
    """What housekeeping needs of a store. Each call is bounded by `limit`; call again until it gives 0."""

    @abstractmethod
    async def purge(self, before: datetime, limit: int) -> int:
        """Remove events accepted before, with their deliveries and attempts, unless a delivery is pending or sending
        or a fan-out is under way. Gives how many events."""

    @abstractmethod
    async def purge_expired(self, limit: int) -> int:
        """Remove idempotency records past their time, and finished tasks older than a week. Gives how many."""

    @abstractmethod
    async def trim_feed(self, before: datetime, keep: int, limit: int) -> int:
        """Remove feed entries written before, and all but the newest `keep`. Gives how many."""

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """What is wrong with the store now, each a sentence that says what to do; empty when it accepts and answers."""

    @abstractmethod
    async def losses(self) -> Sequence[str]:
        """What the store has lost lately, as far as is known, in sentences likewise; it accepts and answers even so."""
