"""The contract of a store's own time, and of what was seen of the clocks last."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockMark:
    """What one process saw at one moment. `boot` names the start of its machine, since which `uptime` counts seconds.

    `wall` is its time of day and `store` the store's time, in milliseconds since 1970. `wall_off` and `store_off` say
    by how many seconds each jumped and is not trusted yet, for `held` seconds already.
    """

    boot: str
    uptime: float
    wall: int
    store: int
    wall_off: float = 0.0
    store_off: float = 0.0
    held: float = 0.0

    @property
    def trusted(self) -> bool:
        return self.wall_off == 0.0 and self.store_off == 0.0


class StoreClock(ABC):
    """The time by which a store judges leases, retry waits, tickets and idempotency keys, whatever any process's time
    of day says; and a place for the last mark, so that a restart hides no jump."""

    @abstractmethod
    async def now(self) -> int:
        """The store's time, in milliseconds since 1970."""

    @abstractmethod
    async def mark(self) -> ClockMark | None:
        """The last mark that was kept, by any process; None before the first."""

    @abstractmethod
    async def keep(self, mark: ClockMark) -> None: ...
