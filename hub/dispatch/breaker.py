"""A circuit breaker: after too many failures in a row a lane rests, then tries one real delivery, then ramps up.

Source of the pattern: M. Nygard, "Release It!", stability patterns. The ramp keeps a herd from a target that just came
back.
"""

from enum import StrEnum
from random import Random

THRESHOLD = 10
FIRST_REST_SECONDS = 2.0
LONGEST_REST_SECONDS = 300.0


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts outcomes and says how many attempts may be under way. Times are monotonic seconds."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._rests = 0
        self._ramp: int | None = None
        self.failures = 0
        self.state = BreakerState.CLOSED
        self.open_until = 0.0

    @property
    def closed(self) -> bool:
        return self.state is BreakerState.CLOSED

    @property
    def untroubled(self) -> bool:
        """Closed, with no failure to remember and no ramp under way."""
        return self.closed and self.failures == 0 and self._ramp is None

    def allowance(self, cap: int, now: float) -> int:
        """How many attempts may be under way at `now`, at most `cap`."""
        if self.state is BreakerState.OPEN and now >= self.open_until:
            self.state = BreakerState.HALF_OPEN
        if self.state is BreakerState.OPEN:
            return 0
        if self.state is BreakerState.HALF_OPEN:
            return 1
        return cap if self._ramp is None else min(cap, self._ramp)

    def succeeded(self, cap: int) -> None:
        self.failures = 0
        self._rests = 0
        if self.state is not BreakerState.CLOSED:
            self.state = BreakerState.CLOSED
            self._ramp = 1
        if self._ramp is not None:
            self._ramp *= 2
            if self._ramp >= cap:
                self._ramp = None

    def failed(self, now: float) -> None:
        """Attempts that were under way when the breaker opened change nothing when they fail too."""
        self.failures += 1
        if self.state is BreakerState.HALF_OPEN or (self.state is BreakerState.CLOSED and self.failures >= THRESHOLD):
            rest = min(FIRST_REST_SECONDS * 2**self._rests, LONGEST_REST_SECONDS)
            self._rests = min(self._rests + 1, 16)
            self.state = BreakerState.OPEN
            self.open_until = now + rest * self._random.uniform(0.8, 1.2)
