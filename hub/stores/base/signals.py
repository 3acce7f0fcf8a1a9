"""The contract of hints between processes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Signal:
    """What changed: lanes with work due (None: now) sooner than was known, a fan-out to expand, the catalogue."""

    due: Mapping[str, datetime | None] = field(default_factory=dict)
    fans_out: bool = False
    catalogue: bool = False


class Signals(ABC):
    """What other processes on this store did that this one may have to act upon, within a second.

    Hints: after trouble with the store some are lost, so who needs to be sure also looks from time to time.
    """

    @abstractmethod
    async def next(self) -> Signal:
        """Return when there is something new, all of it as one. After a lost connection it says `catalogue`. Raises
        `Unavailable`."""
