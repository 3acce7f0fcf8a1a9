"""The documents in which everything moves from one store into another: JSON that every store writes and reads alike.

Instants are milliseconds since 1970 UTC; JSON that was received travels as text, byte for byte. What is empty is left
out.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec

from hub.models import Task

Document = TypeVar("Document", bound=msgspec.Struct)
VerdictStatus = Literal["accepted", "duplicate", "rejected"]


class Counters(msgspec.Struct, omit_defaults=True):
    """What goes on counting where it was: the catalogue's version, the feed's last id, the last one trimmed away."""

    catalogue: int = 0
    feed: int = 0
    trimmed: int = 0


class RecordDocument(msgspec.Struct, omit_defaults=True):
    """A document of the catalogue, with the version in which it was written; without `doc` once it is deleted."""

    kind: str
    tenant: str
    id: str
    version: int
    doc: str | None = None


class AttemptDocument(msgspec.Struct, omit_defaults=True):
    number: int
    cause: str
    started_at: int
    outcome: str
    duration_ms: int | None = None
    status_code: int | None = None
    error: str | None = None
    response_body: str | None = None


class DeliveryDocument(msgspec.Struct, omit_defaults=True):
    """`cause` is why its next attempt is made. One that is `sending` has no lease: whoever reads it had none."""

    id: str
    subscription_id: str
    channel: str
    status: str
    created_at: int
    updated_at: int
    reason: str | None = None
    attempt_count: int = 0
    schedule_base: int = 0
    token: int = 0
    cause: str = "automatic"
    due_at: int | None = None
    attempts: list[AttemptDocument] = []


class EventDocument(msgspec.Struct, omit_defaults=True):
    """An event with deliveries. `goes_on`: an earlier document had the event, and the first of them."""

    id: str
    tenant: str
    type: str
    source: str
    time: int
    accepted_at: int
    data: str = ""
    goes_on: bool = False
    source_id: str | None = None
    subject: str | None = None
    content_type: str | None = None
    data_base64: bool = False
    extensions: dict[str, str | int | bool] = {}
    ordering_key: str | None = None
    deliver_at: int | None = None
    expires_at: int | None = None
    traceparent: str | None = None
    cancelled_at: int | None = None
    fan_out_after: str | None = None
    deliveries: list[DeliveryDocument] = []


class IdempotencyDocument(msgspec.Struct):
    """`verdicts` are an array each: index, status, id, problem."""

    tenant: str
    key: str
    fingerprint: str
    expires_at: int
    verdicts: list[tuple[int, VerdictStatus, str | None, dict[str, Any] | None]]


class TaskDocument(msgspec.Struct):
    """`shown` is what the API shows of it."""

    tenant: str
    owner: str
    shown: msgspec.Raw

    def task(self) -> Task:
        return Task.model_validate({**msgspec.json.decode(self.shown), "tenant": self.tenant, "owner": self.owner})


class FeedDocument(msgspec.Struct, omit_defaults=True):
    id: int
    written_at: int
    tenant: str
    kind: str
    data: str
    event_type: str | None = None
    event_id: str | None = None
    subscription_id: str | None = None
    status: str | None = None


encode: Final = msgspec.json.Encoder().encode


def decode(documents: Sequence[bytes], kind: type[Document]) -> list[Document]:
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(document) for document in documents]
