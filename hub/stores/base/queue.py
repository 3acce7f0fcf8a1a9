"""The contract of pending deliveries: claims, leases and fenced results."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.models import Attempt, Cause, Delivery, Event, FeedEntry, Record
from hub.stores.base.lanes import UNBOUNDED, HealthMark, LaneClass, LaneHealth, LanePolicy


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request for at most `limit` due deliveries of this subscription.

    Those of the class `first` are taken before those of the others, which follow in the order of their numbers and fill
    what is left; each class in order of due time. `policy` bounds the lane over all processes.
    """

    lane: str
    limit: int
    first: LaneClass = LaneClass.LIVE
    policy: LanePolicy = UNBOUNDED


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased delivery (`sending`, attempt counted, token bumped) with its event and why it is tried.

    `damage` says what is wrong with the stored event. Then `event` is a placeholder, which must not be sent.
    """

    delivery: Delivery
    event: Event
    cause: Cause
    claimed_at: datetime
    damage: str | None = None

    def needs_attempt(self, now: datetime) -> bool:
        """Whether it is to be sent; otherwise it ends without an attempt."""
        event = self.event
        expired = event.expires_at is not None and event.expires_at <= now
        return self.damage is None and event.cancelled_at is None and not expired


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What a claim gave, and what to expect next of each lane that was asked for.

    `next_due` is when to ask again: when the next pending delivery is due, or later, at the instant at which the lane's
    rate, a pause or the breaker allows a start. A lane without pending deliveries, or one that is full, is absent.
    `full`: its due deliveries wait until an attempt of the lane ends, in any process. `breaker_open`: its breaker is
    open. `barred`: its rate, a pause or its breaker put `next_due` off.
    """

    claims: tuple[Claim, ...]
    next_due: Mapping[str, datetime]
    full: frozenset[str] = frozenset()
    breaker_open: frozenset[str] = frozenset()
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Effect:
    """What a result changes in the catalogue: a record, which must still be in this version, and feed entries."""

    record: Record
    version: int
    feed: tuple[FeedEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A delivery's next state. Its token must be the last one, because a claim and every other write bumps it.

    A pending delivery waits, from the moment of the write, for as long as its `next_attempt_at` is after its
    `updated_at`: both are of this process's clock, and the store goes by its own. `cause` is why its next attempt is
    made. `attempt` is added to (or, by number, replaced in) the record of attempts. `health_mark` is what the attempt
    says of the target's health. For `pause_seconds` the target wants no attempt at all. Both count only where the lane
    is still at the `address` to which the attempt was made; None is any. `effects` are written with the result.
    """

    delivery: Delivery
    attempt: Attempt | None = None
    feed: tuple[FeedEntry, ...] = ()
    cause: Cause = Cause.AUTOMATIC
    health_mark: HealthMark = HealthMark.NONE
    pause_seconds: float | None = None
    address: str | None = None
    effects: tuple[Effect, ...] = ()


class WriteOutcome(StrEnum):
    """Recorded; fenced: another write bumped the token; event cancelled: it would wait for a cancelled event; stale: a
    record that it has an effect on is in another version. Nothing is written but what is recorded."""

    RECORDED = "recorded"
    FENCED = "fenced"
    EVENT_CANCELLED = "event_cancelled"
    STALE = "stale"


class Queue(ABC):
    """Pending deliveries. A lane is the id of a subscription.

    A delivery counts as under way in its lane from its claim until a result of it is written. A lane follows the policy
    of its last claim request: no more under way than its cap, and starts spaced by its rate (a tenth of a second may be
    caught up). What needs no attempt, because its event has expired or was cancelled, uses up nothing of the rate, and
    more of that may come than was asked for. None starts during a pause or while the breaker is open, and one while it
    is half open; after that twice as many with each success, up to the cap. See docs/decisions/0010.

    Example:
        >>> claimed = await store.queue.claim([ClaimRequest("sub_1", limit=8)], {"sub_1": 30.0})
        >>> await store.queue.finish([Result(delivered(claim)) for claim in claimed.claims])
    """

    @abstractmethod
    async def due(self) -> Mapping[str, datetime]:
        """When the first pending delivery of each lane is due."""

    @abstractmethod
    async def expired(self, at: datetime, limit: int) -> Sequence[Delivery]:
        """Pending deliveries whose events had expired at that instant, those that expired first."""

    @abstractmethod
    async def claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        """Lease due deliveries: as one, each gets the status `sending`, and its attempt count and token are bumped.

        `lease_seconds` gives the lease of each lane that is asked for. Where the answer to a call was lost, a later
        call of the same process gives the same claims again.
        """

    @abstractmethod
    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> None:
        """Let the leases of these claims end `lease_seconds` from now, where the token still matches."""

    @abstractmethod
    async def finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        """Write each next state with its attempt, feed entries and effects, where the token still matches, and end the
        lease.

        A result that would be pending although its event is cancelled is not written, nor one with an effect on a
        record that has changed. Health marks and pauses count for
        the lanes of what is written.
        """

    @abstractmethod
    async def reclaim(self, limit: int, *, all_owners: bool = False) -> Sequence[Claim]:
        """Take over at most `limit` deliveries whose lease has ended or, with `all_owners`, of any lease.

        Each gets a new token and a new lease of a minute; its attempt count stays. The caller finishes each with an
        attempt that ended `unknown`.
        """

    @abstractmethod
    async def health(self, lanes: Collection[str]) -> Mapping[str, LaneHealth]:
        """The health of the targets of these lanes. A lane without a failure is absent."""
