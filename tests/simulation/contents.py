"""What the model of a store holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from hub.clock import Clock
from hub.models import Attempt, Cause, Delivery, Event, FeedEntry, Record, Status
from hub.stores.base import AcceptResult, EventChange, LaneClass, Match, NewDelivery


@dataclass
class Row:
    """A delivery with what the store alone knows of it; instants are monotonic seconds."""

    delivery: Delivery
    cause: Cause = Cause.AUTOMATIC
    due_at: float = 0.0
    appointed: datetime | None = None
    """When people want it: an instant of the time of day, in place of `due_at`."""
    lease_until: float = 0.0

    @property
    def lane_class(self) -> LaneClass:
        if self.cause is Cause.REPLAY:
            return LaneClass.REPLAY
        return LaneClass.RETRY if self.delivery.attempt_count else LaneClass.LIVE


@dataclass
class Contents:
    """What the model holds; it outlives every process."""

    events: dict[str, Event] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    attempts: dict[str, dict[int, Attempt]] = field(default_factory=dict)
    feed: list[FeedEntry] = field(default_factory=list)
    cursors: dict[str, tuple[str, Match]] = field(default_factory=dict)
    answers: dict[tuple[str, str], tuple[str, float, AcceptResult]] = field(default_factory=dict)
    changes: dict[str, EventChange] = field(default_factory=dict)
    records: dict[tuple[str, str, str], Record] = field(default_factory=dict)
    version: int = 0

    def write(self, records: Sequence[Record]) -> None:
        """Write these records of the catalogue in its next version."""
        self.version += 1
        for record in records:
            key = record.kind, record.tenant, record.id
            # Removed first, so that records stand in the order of their versions.
            self.records.pop(key, None)
            self.records[key] = replace(record, version=self.version)

    def has_moved(self, tenant: str, version: int) -> bool:
        """Whether records of this tenant have changed since that version."""
        return any(record.version > version for record in self.records.values() if record.tenant == tenant)


def add_delivery(contents: Contents, new: NewDelivery, event: Event, clock: Clock) -> None:
    """Add a delivery of this event, to be made as soon as the event is due."""
    now = clock.now()
    delivery = Delivery(
        id=new.id,
        tenant=event.tenant,
        event_id=event.id,
        event_type=event.type,
        subscription_id=new.subscription_id,
        channel=new.channel,
        status=Status.PENDING,
        next_attempt_at=event.deliver_at or now,
        created_at=now,
        updated_at=now,
    )
    contents.rows[new.id] = Row(delivery, due_at=clock.monotonic(), appointed=event.deliver_at)
