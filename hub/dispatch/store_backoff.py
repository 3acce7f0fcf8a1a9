"""When the store last could not answer, and when to ask it again."""

from math import inf
from typing import Final

from hub.clock import Clock
from hub.errors import Unavailable

RETRY_SECONDS: Final = 1.0
RECOVERY_SECONDS: Final = 5.0
"""After an outage of the store each process has this long to renew its leases before any is taken over."""


class StoreBackoff:
    """Shared by all parts of one dispatcher that use the store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed_at = -inf

    @property
    def recovering(self) -> bool:
        """The store failed a short time ago: other processes may not have renewed their leases yet."""
        return self._clock.monotonic() - self._failed_at < RECOVERY_SECONDS

    def failed(self, error: Unavailable) -> float:
        """Remember that the store could not answer; gives the seconds to wait before the next try."""
        self._failed_at = self._clock.monotonic()
        return error.retry_after or RETRY_SECONDS
