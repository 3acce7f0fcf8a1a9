"""When the store last could not answer."""

from math import inf
from typing import Final

from hub.clock import Clock
from hub.errors import Unavailable

RETRY_SECONDS: Final = 1.0
RECOVERY_SECONDS: Final = 5.0
"""After trouble with the store every process gets so long to renew its leases before any is taken from it."""


class StoreBackoff:
    """Shared by all that speak to the store on behalf of one dispatcher."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted_at = -inf

    @property
    def recent(self) -> bool:
        return self._clock.monotonic() - self._noted_at < RECOVERY_SECONDS

    def note(self, error: Unavailable) -> float:
        """Gives after how many seconds to try again."""
        self._noted_at = self._clock.monotonic()
        return error.retry_after or RETRY_SECONDS
