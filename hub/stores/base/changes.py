"""The contract of changes to all deliveries of an event, which are made in steps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ChangeKind(StrEnum):
    CANCEL = "cancel"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class EventChange:
    """A change to the deliveries of an event, or only to those of `subscription_ids`, and how far it is.

    `after` is the cursor of their list up to which it was made; None for its beginning. The change that cancels an
    event has the event's id.
    """

    id: str
    tenant: str
    event_id: str
    kind: ChangeKind
    requested_at: datetime
    subscription_ids: tuple[str, ...] | None = None
    after: str | None = None


class EventChanges(ABC):
    """Changes that are under way. One that stays as it is belongs to a process that died, and is to be gone on with."""

    @abstractmethod
    async def save(self, change: EventChange) -> None:
        """Insert the change, or replace the one with its id."""

    @abstractmethod
    async def unfinished(self, limit: int) -> Sequence[EventChange]:
        """At most so many of every tenant's changes, the oldest request first."""

    @abstractmethod
    async def end(self, change: EventChange) -> None:
        """Remove the change; nothing happens where it is gone."""
