"""The contracts of a store: seven narrow ports, each a set of rules that one conformance suite proves on every store.

All methods may raise `Unavailable` (with `retry_after`) when the store cannot answer now: the disk is full, the
database is locked, the server is away. Then nothing of the call was written. Every write is on disk before its
method returns. Instants are aware UTC, kept to the millisecond.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from hub.models import (
    Attempt,
    Cause,
    Delivery,
    Event,
    FeedEntry,
    FeedRow,
    Record,
    Status,
    Task,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to create together with its event."""

    id: str
    subscription_id: str
    channel: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to accept, at `index` of its batch.

    `deliveries` are due at `event.deliver_at`, or else at once. With `fan_out` they are empty, and a fan-out cursor
    is kept instead, from which `Intake.expand` creates them in chunks.
    """

    index: int
    event: Event
    deliveries: tuple[NewDelivery, ...]
    feed: FeedEntry
    fan_out: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the item at `index`; `id` is the hub's event id (the first one's, for a duplicate)."""

    index: int
    status: Literal["accepted", "duplicate", "rejected"]
    id: str | None = None
    problem: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's `Idempotency-Key`, and the fingerprint of the request that came with it."""

    key: str
    fingerprint: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request publishes. `rejected` items are only remembered with the idempotency key."""

    tenant: str
    entries: tuple[Entry, ...]
    rejected: tuple[Verdict, ...] = ()
    idempotency: Idempotency | None = None
    catalogue_version: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One verdict an item, by index. `replayed` when it was given before, to the same idempotency key."""

    verdicts: tuple[Verdict, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class FanOut:
    """An event whose deliveries exist only for subscriptions up to and including id `after` ('' for none yet)."""

    event: Event
    after: str


class Intake(ABC):
    """Where events enter."""

    @abstractmethod
    async def accept(self, batch: Batch) -> Answer:
        """Commit events, deliveries, feed entries and the idempotency record as one.

        An event whose (source, source_id) the tenant published before, in this batch or an earlier one, is a duplicate:
        nothing of it is written. The same unexpired idempotency key with the same fingerprint gives the first answer
        and writes nothing; with another fingerprint raises `Invalid`. Raises `StaleCatalogue`, writing nothing, when
        `catalogue_version` is not the current one.
        """

    @abstractmethod
    async def recall(self, tenant: str, idempotency: Idempotency) -> Answer | None:
        """The answer given to this key before, as `accept` would give it; None if the key is new or expired."""

    @abstractmethod
    async def fan_outs(self, limit: int) -> Sequence[FanOut]:
        """Events with a fan-out cursor, oldest first."""

    @abstractmethod
    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        """Create deliveries and move the cursor to `after` (None: done) as one; False if the cursor moved meanwhile."""

    @abstractmethod
    async def cancel(self, tenant: str, event_id: str, at: datetime) -> bool:
        """Mark the event cancelled and drop its fan-out cursor; False if it was cancelled before."""


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
    """What became of a result: written; fenced (the token moved on); or its event is cancelled, so it may not be pending."""

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


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most `limit` items after `cursor` (opaque, from the page before), newest first."""

    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class EventQuery:
    """`type` is a pattern: exact, `order.*` (one or more trailing segments), or `*`. `since` is included, `until` not."""

    type: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """All that are given must hold; `subscription_ids` restricts to these, `not_subscription_ids` excludes."""

    status: Status | None = None
    subscription_ids: frozenset[str] | None = None
    not_subscription_ids: frozenset[str] = frozenset()
    event_id: str | None = None
    channel: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """Counts since an instant; `pending` and `oldest_pending_at` are of now. Latency is attempt time in milliseconds."""

    delivered: int = 0
    failed_attempts: int = 0
    dead: int = 0
    pending: int = 0
    oldest_pending_at: datetime | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    """`p50`, `p90` and `p99` over the newest attempts, at most some thousands."""


@dataclass(frozen=True, slots=True)
class RecentFailure:
    at: datetime
    delivery_id: str
    event_type: str
    subscription_id: str
    channel: str
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Stats:
    accepted: int
    total: ChannelStats
    channels: Mapping[str, ChannelStats]
    recent_failures: tuple[RecentFailure, ...]


class Archive(ABC):
    """Reading back what happened. What belongs to another tenant does not exist."""

    @abstractmethod
    async def event(self, tenant: str, event_id: str) -> Event | None: ...

    @abstractmethod
    async def events(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]: ...

    @abstractmethod
    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None: ...

    @abstractmethod
    async def deliveries(self, tenant: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]: ...

    @abstractmethod
    async def attempts(self, tenant: str, delivery_id: str) -> Sequence[Attempt]:
        """By number; empty for an unknown delivery."""

    @abstractmethod
    async def counts(self, tenant: str, query: DeliveryQuery) -> Mapping[str, Mapping[Status, int]]:
        """How many deliveries, by subscription id and status; only what occurs."""

    @abstractmethod
    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats: ...


class Feed(ABC):
    """Every state change, in order, without holes."""

    @abstractmethod
    async def read(self, after: int, limit: int, tenant: str | None = None) -> Sequence[FeedRow]:
        """The entries with ids over `after`, ascending; of one tenant, or of all."""

    @abstractmethod
    async def wait(self, after: int) -> None:
        """Return once an entry with an id over `after` can be read."""

    @abstractmethod
    async def bounds(self) -> tuple[int, int]:
        """The highest id trimmed away and the highest id given, 0 for none: a reader at or over the first misses
        nothing."""


class Records(ABC):
    """The catalogue's documents: few, small, read by everyone, so each process keeps them all in memory."""

    @abstractmethod
    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        """Write (or, without a doc, delete) as one and give the new version; `Record.version` is ignored.

        Raises `StaleCatalogue`, writing nothing, when `expected` is not the current version.
        """

    @abstractmethod
    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        """What was written after version `since`, deletions among it, and the current version. Since 0: all live ones."""


class Tasks(ABC):
    @abstractmethod
    async def save(self, task: Task, feed: Sequence[FeedEntry] = ()) -> None:
        """Insert or replace by id."""

    @abstractmethod
    async def task(self, tenant: str, task_id: str) -> Task | None: ...

    @abstractmethod
    async def tasks(self, tenant: str, page: Page) -> Listing[Task]: ...

    @abstractmethod
    async def unfinished(self, limit: int) -> Sequence[Task]:
        """Every tenant's tasks that are pending or running, oldest first."""


class Upkeep(ABC):
    """What housekeeping needs of a store. Each call is bounded by `limit`; call again until it gives 0."""

    @abstractmethod
    async def purge(self, before: datetime, limit: int) -> int:
        """Remove events accepted before, with their deliveries and attempts, unless a delivery is pending or sending
        or a fan-out is under way. Gives how many events."""

    @abstractmethod
    async def purge_expired(self, limit: int) -> int:
        """Remove idempotency records past their time, and finished tasks older than a week. Gives how many."""

    @abstractmethod
    async def trim_feed(self, before: datetime, keep: int, limit: int) -> int:
        """Remove feed entries written before, and all but the newest `keep`. Gives how many."""

    @abstractmethod
    async def check(self) -> Sequence[str]:
        """What is wrong with the store now, each a sentence that says what to do; empty when it accepts and answers."""


@dataclass(frozen=True, slots=True)
class Store:
    """One open store, as its ports."""

    intake: Intake
    queue: Queue
    archive: Archive
    feed: Feed
    records: Records
    tasks: Tasks
    upkeep: Upkeep
