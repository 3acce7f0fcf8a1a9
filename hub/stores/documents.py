"""The documents in which everything moves from one store into another: JSON that every store writes and reads alike.

Instants are milliseconds since 1970 UTC; JSON that was received travels as text, byte for byte. Members with their
default value are left out. Documents live only while they move, so their format may change with any version.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeVar

import msgspec

from hub.errors import HubError
from hub.models import Task
from hub.stores.stored import StoredAttempt, StoredEvent, StoredFeedEntry
from hub.stores.unreadable import READ_ERRORS

Document = TypeVar("Document", bound=msgspec.Struct)
VerdictStatus = Literal["accepted", "duplicate", "rejected"]
FOREIGN: Final = "cannot be read by this version of the hub. Copy with the version that the hub had."
"""Why a copy stops: what it left out would be missing in the new store."""


class Counters(msgspec.Struct, omit_defaults=True):
    """Counters that continue in the new store: the catalogue's version, the feed's last id and last id trimmed."""

    catalogue: int = 0
    feed: int = 0
    trimmed: int = 0


class RecordDocument(msgspec.Struct, omit_defaults=True):
    """A record of the catalogue with the version that wrote it. A deleted record has no `doc`."""

    kind: str
    tenant: str
    id: str
    version: int
    doc: str | None = None


class DeliveryDocument(msgspec.Struct, omit_defaults=True):
    """A delivery, with its attempts by number. `cause` is why its next attempt is made.

    One that is `sending` comes without its lease; the store that it moves into gives it one that has run out.
    """

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
    checkpoint: str | None = None
    steps_spared: float = 0.0
    attempts: dict[int, StoredAttempt] = {}


class EventDocument(msgspec.Struct, omit_defaults=True):
    """An event with deliveries. With `goes_on`, an earlier document had its data and its first deliveries.

    `match` is whom it is for, as pairs of subscription and channel, while `fan_out_after` says how far its fan-out is.
    """

    event: StoredEvent
    goes_on: bool = False
    cancelled_at: int | None = None
    fan_out_after: str | None = None
    deliveries: list[DeliveryDocument] = []
    match: tuple[tuple[str, str], ...] | None = None


class IdempotencyDocument(msgspec.Struct):
    """The answer kept with an idempotency key. Each verdict is an array of index, status, id and problem."""

    tenant: str
    key: str
    fingerprint: str
    expires_at: int
    verdicts: list[tuple[int, VerdictStatus, str | None, dict[str, Any] | None]]


class TaskDocument(msgspec.Struct):
    """A task. `shown` is the JSON that the API shows of it."""

    tenant: str
    owner: str
    shown: msgspec.Raw

    def task(self) -> Task:
        """Raises `HubError` for one that only another version of the hub can read."""
        try:
            return Task.read(bytes(self.shown), tenant=self.tenant, owner=self.owner)
        except READ_ERRORS:
            raise HubError(f"A task of {self.tenant} {FOREIGN}") from None


class FeedDocument(msgspec.Struct):
    id: int
    written_at: int
    entry: StoredFeedEntry


encode: Final = msgspec.json.Encoder().encode


def decode(documents: Sequence[bytes], kind: type[Document]) -> list[Document]:
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(document) for document in documents]
