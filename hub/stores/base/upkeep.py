"""The contract of what housekeeping needs."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits on a channel now, and what is dead. What is held counts apart: as neither pending nor oldest."""

    pending: int = 0
    held: int = 0
    dead: int = 0
    oldest_pending_at: datetime | None = None


class Removed(NamedTuple):
    """How many a call has removed, and whether there may be more to remove."""

    number: int
    more: bool


class Upkeep(ABC):
    """What housekeeping needs of a store. Each call is one commit of at most `limit` rows: call again while there is
    more."""

    @abstractmethod
    async def purge(self, before: datetime, limit: int) -> Removed:
        """Remove events whose last delivery ended before this, or that were accepted before this and have none, with
        their deliveries and attempts. Gives how many events.

        An event stays while one of its deliveries is pending or sending, or its fan-out is under way. One that has more
        rows than fit loses them over several calls, and goes with the last of them.
        """

    @abstractmethod
    async def purge_expired(self, limit: int) -> Removed:
        """Remove expired idempotency records, and tasks that ended over a week ago. Gives how many."""

    @abstractmethod
    async def trim_feed(self, before: datetime, keep: int, limit: int) -> Removed:
        """Remove feed entries written before this, and all but the newest `keep`. Gives how many."""

    @abstractmethod
    async def backlog(self, tenant: str, lanes: Mapping[str, str], held: Collection[str]) -> Mapping[str, Backlog]:
        """What waits and what is dead, by channel; without channels that have neither.

        `lanes` has the channel of each subscription of the tenant; `held` are those whose pending deliveries are held.
        """

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """What is wrong with the store now: sentences that say what to do. Empty when it accepts and answers."""

    @abstractmethod
    async def losses(self) -> Sequence[str]:
        """What the store is known to have lost lately, in sentences too. It accepts and answers all the same."""
