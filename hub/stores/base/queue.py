"""The contract of what waits: claims, leases and fenced results."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.models import Attempt, Cause, Delivery, Event, FeedEntry
from hub.stores.base.lanes import UNBOUNDED, HealthMark, LaneHealth, LanePolicy


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Room in a lane: at most `limit` due deliveries of this subscription.

    First attempts are taken before retries, or after them with `retries_first`; each class in order of due time,
    and either fills what the other leaves. `policy` bounds the lane over all processes.
    """

    lane: str
    limit: int
    retries_first: bool = False
    policy: LanePolicy = UNBOUNDED


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased delivery (`sending`, attempt counted, token bumped) with its event and why it is tried.

    `damage` says what is wrong with the stored event, which must not be sent then; its `data` is no more than a
    placeholder.
    """

    delivery: Delivery
    event: Event
    cause: Cause
    claimed_at: datetime
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What a claim gave, and for each wanted lane what to expect of it next.

    `next_due` is when to ask again: when its next pending delivery is due, or later where the lane's rate, a pause or
    its breaker lets none start before (absent: none is left, or the lane is full). `full` are the lanes with due
    deliveries that wait for an attempt of their lane to end, in whichever process. `breaker_open` are those whose
    breaker is open.
    """

    claims: tuple[Claim, ...]
    next_due: Mapping[str, datetime]
    full: frozenset[str] = frozenset()
    breaker_open: frozenset[str] = frozenset()
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Result:
    """A delivery's next state. Its token must be the one last read: a claim, or any other write, bumps it.

    `delivery.next_attempt_at` is when a pending delivery is due. `cause` is why its next attempt is made.
    `attempt` is added to (or, by number, replaced in) the record of attempts. `sign` is what the attempt says of the
    target's health; until `pause_until` the target wants no attempt at all.
    """

    delivery: Delivery
    attempt: Attempt | None = None
    feed: tuple[FeedEntry, ...] = ()
    cause: Cause = Cause.AUTOMATIC
    sign: HealthMark = HealthMark.NONE
    pause_until: datetime | None = None


class WriteOutcome(StrEnum):
    """What became of a result: written; fenced (the token moved on); its event is cancelled, so it may not wait."""

    RECORDED = "recorded"
    FENCED = "fenced"
    EVENT_CANCELLED = "event_cancelled"


class Queue(ABC):
    """The deliveries that wait. A lane is the id of a subscription.

    A delivery counts as under way in its lane from its claim until a result of it is written. The policy a lane was
    last wanted with holds for it: no more under way than its cap, starts spaced by its rate (with a tenth of a second
    to catch up with), none during a pause or while its breaker rests, one while it is half open, and then twice as
    many with each success until the cap.
    """

    @abstractmethod
    async def due(self) -> Mapping[str, datetime]:
        """For every lane with pending deliveries, when the first of them is due."""

    @abstractmethod
    async def claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        """Lease due deliveries: status `sending`, attempt count and token bumped, in one statement each.

        `lease_seconds` gives the lease of each wanted lane. The token and attempt number are the claim's own. Where the
        answer of a call was lost, a later call of the same process gives the same claims again.
        """

    @abstractmethod
    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> None:
        """Let the leases of these claims run out so many seconds from now, where the token still matches."""

    @abstractmethod
    async def finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        """Write each next state with its attempt and feed entries where the token still matches; ends the lease.

        One that would be pending while its event is cancelled is not written. Signs and pauses count for the lanes of
        what is written.
        """

    @abstractmethod
    async def reclaim(self, limit: int, *, all_owners: bool = False) -> Sequence[Claim]:
        """Take over deliveries whose lease has run out (or, with `all_owners`, any lease): a new token, a new lease of
        a minute, the attempt count as it is. The caller finishes each with the attempt `unknown`."""

    @abstractmethod
    async def health(self, lanes: Collection[str]) -> Mapping[str, LaneHealth]:
        """How the targets of these lanes fare; absent: nothing is known against it."""
