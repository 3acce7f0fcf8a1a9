"""What the hub talks about: events, deliveries, attempts, feed entries; the shapes that REST and the live feed show."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic_core import from_json, to_json

from hub.instants import instant_text


class Status(StrEnum):
    """A delivery's place in its life: `pending → sending → delivered | dead | cancelled`.

    `held` is how a pending delivery is shown while its subscription is disabled; stores never hold it.
    """

    PENDING = "pending"
    HELD = "held"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Recorded(StrEnum):
    """Base of words that are stored and that no client sends. One that only a newer version knows reads as itself."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown


class Outcome(Recorded):
    """How an attempt ended; `unknown` when the process died between sending and recording."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Cause(Recorded):
    """Why an attempt was made."""

    AUTOMATIC = "automatic"
    REPLAY = "replay"


class Scope(StrEnum):
    """What a key may do; `admin` implies every other."""

    EVENTS_WRITE = "events:write"
    READ = "read"
    MANAGE = "manage"
    ADMIN = "admin"


class Resource(BaseModel):
    """Base of everything that is shown. It is immutable, and ignores members that a newer version has stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@cache
def member_names(model: type[BaseModel]) -> frozenset[str]:
    """The names that the members of a model have in JSON."""
    return frozenset(field.serialization_alias or name for name, field in model.model_fields.items())


class Kept(Resource):
    """Base of what is stored as a JSON object and written again later, with what only a newer version knows of it.

    Example:

        class Note(Kept):
            text: str

        note = Note.read(b'{"text": "one", "zone": "eu"}')
        note.model_copy(update={"text": "two"}).document()  # {"zone": "eu", "text": "two"}
    """

    _unknown: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls, document: bytes, **members: Any) -> Self:
        """The model of a document, and of `members` that are stored beside it. Raises `ValueError`."""
        stored = {**from_json(document), **members}
        # Bytes are validated in a fraction of the time that the same members take as Python objects.
        kept = cls.model_validate(stored) if members else cls.model_validate_json(document)
        if unknown := stored.keys() - member_names(cls):
            kept._unknown = {name: stored[name] for name in unknown}
        return kept

    def document(self) -> dict[str, Any]:
        """The members to store, as JSON values."""
        return self._unknown | self.model_dump(mode="json")

    def written(self) -> bytes:
        """The document as JSON."""
        return to_json(self.document())


class Event(Resource):
    """A fact sent to the hub. `data` is the JSON exactly as it was received."""

    id: str
    tenant: str = Field(exclude=True)
    type: str
    source: str
    source_id: str | None = None
    subject: str | None = None
    time: datetime
    data: bytes = Field(repr=False)
    content_type: str | None = None
    data_base64: bool = False
    """`data` is a JSON string that holds base64 of a body that is not JSON (CloudEvents 1.0, JSON format, 3.1)."""
    extensions: dict[str, str | int | bool] = Field(default_factory=dict)
    """CloudEvents extension attributes, `dataschema` among them."""
    ordering_key: str | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None
    traceparent: str | None = Field(default=None, exclude=True)
    accepted_at: datetime
    cancelled_at: datetime | None = None

    def seen(self, data: Any) -> dict[str, Any]:
        """The event as filters and templates see it; `data` is its data, parsed."""
        return {
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "subject": self.subject,
            "time": instant_text(self.time),
            "data": data,
        }


class Attempt(Resource):
    """One try of a delivery, numbered from 1."""

    number: int
    cause: Cause
    started_at: datetime
    duration_ms: int | None
    outcome: Outcome
    status_code: int | None = None
    error: str | None = None
    response_body: str | None = None


class Delivery(Resource):
    """One event for one subscription."""

    id: str
    tenant: str = Field(exclude=True)
    event_id: str
    event_type: str
    subscription_id: str
    channel: str
    status: Status
    reason: str | None = None
    attempt_count: int = 0
    token: int = Field(default=0, exclude=True)
    """The fencing token: bumped by every write."""
    schedule_base: int = Field(default=0, exclude=True)
    """How many attempts had been made when the current retry schedule began; a replay begins a new schedule."""
    steps_spared: float = Field(default=0.0, exclude=True)
    """How many steps of the current retry schedule its attempts have not used up: each uses up one step, but for those
    that were followed by a shorter wait than the step's, because the target asked for it."""
    checkpoint: str | None = Field(default=None, exclude=True)
    """What the channel has done of this delivery so far, in its own words; see `SendFailed.checkpoint`."""
    next_attempt_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def lane(self) -> str:
        """The queue in which it waits for its attempts: its subscription's."""
        return self.subscription_id


class FeedKind(Recorded):
    """The event names of the live stream; it makes `gap` and `cursor` itself, and they are never stored."""

    EVENT_ACCEPTED = "event.accepted"
    DELIVERY_ATTEMPTED = "delivery.attempted"
    DELIVERY_DELIVERED = "delivery.delivered"
    DELIVERY_DEAD = "delivery.dead"
    DELIVERY_CANCELLED = "delivery.cancelled"
    SUBSCRIPTION_DISABLED = "subscription.disabled"
    SUBSCRIPTION_ENABLED = "subscription.enabled"
    TASK_UPDATED = "task.updated"
    GAP = "gap"
    CURSOR = "cursor"


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One state change: what a listener is shown (`data`, one line of JSON), and what it can be filtered by."""

    tenant: str
    kind: FeedKind
    data: bytes = field(repr=False)
    event_type: str | None = None
    event_id: str | None = None
    subscription_id: str | None = None
    status: str | None = None
    """A `Status`, or one that only a newer version knows."""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A feed entry with its cursor: a positive integer that only grows."""

    id: int
    entry: FeedEntry


class TaskStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Task(Kept):
    """Long work that a person asked for; `progress` runs from 0 to 100."""

    id: str
    tenant: str = Field(exclude=True)
    kind: str
    status: TaskStatus
    owner: str = Field(default="", exclude=True)
    """The process that does the work."""
    progress: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None
    created_at: datetime
    updated_at: datetime


RecordKind = Literal["tenant", "key", "subscription", "event_type", "secret", "source"]


@dataclass(frozen=True, slots=True)
class Record:
    """A small document of the catalogue as a store keeps it. `doc` is JSON, or None once it is deleted."""

    kind: RecordKind
    tenant: str
    id: str
    doc: bytes | None = field(repr=False)
    version: int = 0
    """Given by the store: the catalogue's version in which this record was last written."""
