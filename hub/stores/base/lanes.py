"""Lanes as a store keeps them: what each allows over all processes, and the health of its target."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

SLOWEST_PER_SECOND: Final = 1e-5
"""One attempt in somewhat more than a day. What comes to less is a mistake, and the numbers of a gate would not be
exact any more."""
FASTEST_PER_SECOND: Final = 10_000.0


class LaneClass(IntEnum):
    """What goes first in a lane: what is new, what is tried again, what is sent once more on request.

    Stores keep the number of none of them: it follows from the attempts of a delivery and from their cause.
    """

    LIVE = 0
    RETRY = 1
    REPLAY = 2


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What a subscription allows over all processes: attempts under way at once, attempts per second (None: any).

    Stores take a rate of less than `SLOWEST_PER_SECOND`, or more than `FASTEST_PER_SECOND`, for that. `revision` is the
    subscription's version; of two policies, that of the newer one counts. `address` names where the lane's target is.
    The health of a target belongs to its address, so the store forgets it when that changes.
    """

    max_in_flight: int = 2**31
    per_second: float | None = None
    revision: int = 0
    address: str = ""


UNBOUNDED = LanePolicy()


class HealthMark(StrEnum):
    """What an attempt says of its target's health: nothing, that it works, that it fails."""

    NONE = "none"
    GOOD = "good"
    BAD = "bad"


class BreakerState(StrEnum):
    """Closed: attempts are made. Open: none is made. Half open: one delivery is tried."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class LaneHealth:
    """The health of a lane's target: failures in a row, the breaker, and while that is open, until when."""

    failures: int = 0
    breaker: BreakerState = BreakerState.CLOSED
    open_until: datetime | None = None
