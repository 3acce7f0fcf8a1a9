"""The contract of rights that one process has at a time."""

from abc import ABC, abstractmethod
from collections.abc import Collection


class Leases(ABC):
    """Named rights with a time limit: a process that dies loses what it held, and nobody waits for ever."""

    @abstractmethod
    async def take(self, name: str, holder: str, seconds: float) -> int | None:
        """Take the right, or renew it, for so many seconds; None while another holds it.

        Gives the fencing token: the same for as long as the holder renews in time, and a higher one whenever the right
        is taken anew.
        """

    @abstractmethod
    async def release(self, name: str, holder: str) -> None:
        """Give the right back, if this holder has it."""

    @abstractmethod
    async def held(self, names: Collection[str]) -> frozenset[str]:
        """Which of these are held by anyone now."""

    @abstractmethod
    async def held_under(self, prefix: str) -> frozenset[str]:
        """The names of all rights held by anyone now that begin with this."""
