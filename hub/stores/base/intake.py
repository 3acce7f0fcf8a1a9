"""The contract of accepting events."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from hub.models import Event, FeedEntry


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to create together with its event."""

    id: str
    subscription_id: str
    channel: str


# Compared by identity, so that a thousand events find their common match without looking into it.
@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The subscriptions that an event is for, as pairs of id and channel, in the order of ids.

    What a store keeps of it is kept once for all events of a batch that name the same object.
    """

    recipients: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One event to accept, at `index` of its batch.

    `deliveries` are due at `event.deliver_at`, or else at once. With `fan_out` there are none yet: the store keeps the
    match and a fan-out cursor instead, from which `Intake.expand` creates them in chunks.
    """

    index: int
    event: Event
    deliveries: tuple[NewDelivery, ...]
    feed: FeedEntry
    fan_out: Match | None = None


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The result of the item at `index`. `id` is the hub's event id; for a duplicate, that of the first event."""

    index: int
    status: Literal["accepted", "duplicate", "rejected"]
    id: str | None = None
    problem: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's `Idempotency-Key`, and the fingerprint of the request that came with it; kept for `seconds`."""

    key: str
    fingerprint: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request publishes. Of `rejected` items, only the result is kept, with the idempotency key."""

    tenant: str
    entries: tuple[BatchEntry, ...]
    rejected: tuple[ItemResult, ...] = ()
    idempotency: Idempotency | None = None
    catalogue_version: int = 0


@dataclass(frozen=True, slots=True)
class AcceptResult:
    """One result for each item, by index. `replayed`: it is the answer that this idempotency key got before."""

    verdicts: tuple[ItemResult, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class FanOut:
    """An event whose deliveries exist for subscriptions up to the id `after`, which is included ('' for none yet).

    `match` is the name by which `Intake.match` finds whom it is for; no other match ever has it. It is None for an
    event that release 0.2 or older accepted, which kept no match.
    """

    event: Event
    after: str
    match: str | None = None


class Intake(ABC):
    """Accepting events, expanding their fan-outs, cancelling them."""

    @abstractmethod
    async def accept(self, batch: Batch) -> AcceptResult:
        """Commit events, deliveries, feed entries and the idempotency record as one.

        An event is a duplicate when the tenant published its (source, source_id) before, in this batch or an earlier
        one: nothing of it is written. An unexpired idempotency key that comes again with the same fingerprint gives the
        first answer, and nothing is written; with another fingerprint it raises `Invalid`. Raises `StaleCatalogue`,
        and writes nothing, when the tenant's records have changed since `catalogue_version`.
        """

    @abstractmethod
    async def recall(self, tenant: str, idempotency: Idempotency) -> AcceptResult | None:
        """The answer that this key got before, as `accept` would give it; None if the key is new or expired."""

    @abstractmethod
    async def fan_outs(self, limit: int, after: str = "") -> Sequence[FanOut]:
        """Events of one tenant that have a fan-out cursor, oldest first; none where no tenant has any.

        It is the next tenant in the order of ids that has some: the first one after the tenant `after`, or the first of
        all. So whoever goes on from the tenant that it got before serves all tenants in turn.
        """

    @abstractmethod
    async def match(self, name: str) -> Match | None:
        """Whom the events are for whose fan-outs name this match; None when all of them have ended."""

    @abstractmethod
    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        """Create deliveries and move the cursor to `after` (None: the end) as one.

        False, with nothing written, if the cursor is no longer at `fan_out.after`.
        """

    @abstractmethod
    async def cancel(self, tenant: str, event_id: str, at: datetime) -> bool:
        """Mark the event cancelled, drop its fan-out cursor, and begin the change that cancels its deliveries, as one.

        False, with nothing written, if the event is unknown or was cancelled before.
        """
