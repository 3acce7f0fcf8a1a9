"""Lanes as a store keeps them: what each allows over all processes, and how its target fares."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class LanePolicy:
    """What a subscription allows over all processes: attempts under way at once, attempts per second (None: any).

    With another `revision`, which is the subscription's version, what was known of its target's health is forgotten.
    """

    max_in_flight: int = 2**31
    per_second: float | None = None
    revision: int = 0


UNBOUNDED = LanePolicy()


class HealthMark(StrEnum):
    """What an attempt says of its target's health: nothing, that it is well, that it is in trouble."""

    NONE = "none"
    GOOD = "good"
    BAD = "bad"


class BreakerState(StrEnum):
    """Closed: attempts are made. Open: the lane rests. Half open: one delivery is tried."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class LaneHealth:
    """How a lane's target fares: failures in a row, the breaker, and while it is open until when the lane rests."""

    failures: int = 0
    breaker: BreakerState = BreakerState.CLOSED
    open_until: datetime | None = None
