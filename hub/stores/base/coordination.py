"""The contracts by which the processes on one store work together: leases, signals, reports, stream tickets, schedule
runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime


class Leases(ABC):
    """Named leases. A process that dies loses its leases after a while, so that no other process waits without end."""

    @abstractmethod
    async def acquire(self, name: str, holder: str, seconds: float) -> int | None:
        """Acquire the lease, or renew it, for `seconds`; None while another process holds it.

        Gives the fencing token: the same as long as the holder renews in time, and a higher one each time the lease is
        acquired again.
        """

    @abstractmethod
    async def release(self, name: str, holder: str) -> None:
        """Give the lease back, if this holder has it."""

    @abstractmethod
    async def held(self, names: Collection[str]) -> frozenset[str]:
        """Those of these leases that any process holds now."""

    @abstractmethod
    async def held_under(self, prefix: str) -> frozenset[str]:
        """The names that begin with `prefix` of all leases that any process holds now."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What changed: lanes with work due (None: now) sooner than was known, a fan-out to expand, the catalogue."""

    due: Mapping[str, datetime | None] = field(default_factory=dict)
    fans_out: bool = False
    catalogue: bool = False


Notify = Callable[[Signal], None]
"""Called by a service after it has written, so that work begins at once and not at the next sweep; never waits."""


class Signals(ABC):
    """What other processes on this store did that this one may have to act upon, within a second.

    Signals are hints: some are lost when the store is in trouble, so a reader that must be sure also looks at
    intervals.
    """

    @abstractmethod
    async def next(self) -> Signal:
        """Return when there is something new, all of it as one signal. After a lost connection it says `catalogue`.

        Raises `Unavailable`.
        """


class Tickets(ABC):
    """Stream tickets by the hash of their text, shared by all web processes, over restarts too.

    What is kept of a ticket is JSON that only `hub.stream.tickets` reads. One that has expired is as one that never
    was.
    """

    @abstractmethod
    async def put(self, digest: str, kept: bytes, seconds: float) -> None:
        """Keep this for that long."""

    @abstractmethod
    async def find(self, digest: str) -> bytes | None:
        """What is kept under this hash."""

    @abstractmethod
    async def replace(self, digest: str, former: bytes, kept: bytes, seconds: float) -> bool:
        """Keep something else, for that long from now, where `former` is what is kept; False, changing nothing, where
        it is not. True also where `kept` is there already: then the answer to the same call was lost."""

    @abstractmethod
    async def extend(self, kept: Mapping[str, bytes], seconds: float) -> frozenset[str]:
        """Keep tickets for that long from now, where this is what is kept; gives the hashes of these. At most 500 in a
        call."""


class Reports(ABC):
    """What processes tell each other of themselves, each under its own name, for a while."""

    @abstractmethod
    async def put(self, name: str, report: bytes, seconds: float) -> None:
        """Keep a report in place of the last one with this name, for `seconds`."""

    @abstractmethod
    async def told(self) -> Mapping[str, bytes]:
        """The reports whose time is not up, by name."""


class Schedules(ABC):
    """How the last run of each schedule ended, for every process to show."""

    @abstractmethod
    async def record(self, name: str, run: bytes, token: int) -> bool:
        """Keep a run, as JSON; False, keeping nothing, when one was recorded with a higher fencing token."""

    @abstractmethod
    async def runs(self) -> Mapping[str, bytes]:
        """The last run of each schedule, by name."""
