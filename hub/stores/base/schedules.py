"""The contract of what is remembered of schedules."""

from abc import ABC, abstractmethod
from collections.abc import Mapping


class Schedules(ABC):
    """How the last run of each schedule ended, for every process to show."""

    @abstractmethod
    async def note(self, name: str, run: bytes, token: int) -> bool:
        """Keep a run, as JSON; False, keeping nothing, when one was noted with a higher fencing token."""

    @abstractmethod
    async def runs(self) -> Mapping[str, bytes]:
        """The last run of each schedule, by name."""
