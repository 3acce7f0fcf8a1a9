"""The contract of what waits: claims, leases and fenced results."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.models import Attempt, Cause, Delivery, Event, FeedEntry


@dataclass(frozen=True, slots=True)
class Want:
    """Room in a lane: at most `limit` due deliveries of this subscription.

    First attempts are taken before retries, or after them with `retries_first`; each class in order of due time,
    and either fills what the other leaves.
    """

    lane: str
    limit: int
    retries_first: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased delivery (`sending`, attempt counted, token bumped) with its event and why it is tried."""

    delivery: Delivery
    event: Event
    cause: Cause
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim gave, and for each wanted lane when its next pending delivery is due (absent: none is left)."""

    claims: tuple[Claim, ...]
    next_due: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Result:
    """A delivery's next state. Its token must be the one last read: a claim, or any other write, bumps it.

    `delivery.next_attempt_at` is when a pending delivery is due. `cause` is why its next attempt is made.
    `attempt` is added to (or, by number, replaced in) the record of attempts.
    """

    delivery: Delivery
    attempt: Attempt | None = None
    feed: tuple[FeedEntry, ...] = ()
    cause: Cause = Cause.AUTOMATIC


class Written(StrEnum):
    """What became of a result: written; fenced (the token moved on); its event is cancelled, so it may not wait."""

    RECORDED = "recorded"
    FENCED = "fenced"
    EVENT_CANCELLED = "event_cancelled"


class Queue(ABC):
    """The deliveries that wait. A lane is the id of a subscription."""

    @abstractmethod
    async def due(self) -> Mapping[str, datetime]:
        """For every lane with pending deliveries, when the first of them is due."""

    @abstractmethod
    async def claim(self, wants: Sequence[Want], lease_seconds: Mapping[str, float]) -> Claimed:
        """Lease due deliveries: status `sending`, attempt count and token bumped, in one statement each.

        `lease_seconds` gives the lease of each wanted lane. The token and attempt number are the claim's own.
        """

    @abstractmethod
    async def finish(self, results: Sequence[Result]) -> Sequence[Written]:
        """Write each next state with its attempt and feed entries where the token still matches; ends the lease.

        One that would be pending while its event is cancelled is not written.
        """

    @abstractmethod
    async def reclaim(self, limit: int, *, everyones: bool = False) -> Sequence[Claim]:
        """Take over deliveries whose lease has run out (or, with `everyones`, any lease): a new token, a new lease of
        a minute, the attempt count as it is. The caller finishes each with the attempt `unknown`."""
