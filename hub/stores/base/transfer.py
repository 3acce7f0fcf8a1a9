"""The contract of moving everything that a store holds into another."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Section(StrEnum):
    """What a store holds, in the order in which it is moved."""

    COUNTERS = "counters"
    RECORDS = "records"
    EVENTS = "events"
    EVENT_CHANGES = "event_changes"
    IDEMPOTENCY = "idempotency"
    TASKS = "tasks"
    FEED = "feed"


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a section: documents as `hub.stores.documents` has them, in a fixed order; and where it ended.

    A document of `events` is an event whole: with its deliveries, their attempts, its fan-out cursor. One with very
    many deliveries goes on in further documents. `count` is how many of the section's total begin in this piece.
    """

    documents: Sequence[bytes]
    after: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class CopyState:
    """How far a copy into this store has come.

    `source_mark` says what the source was like when the copy began, as the copy put it. `reached` has for each section
    that was begun the place where its last piece ended, but none for the feed once the copy is complete.
    """

    source_mark: str
    reached: Mapping[Section, str]
    complete: bool


class Transfer(ABC):
    """Reading everything out of a store and putting it into another, for when neither is in use."""

    @abstractmethod
    async def totals(self) -> Mapping[str, int]:
        """How many there are of everything: each section but the counters, and `deliveries` and `attempts` besides."""

    @abstractmethod
    async def read(self, section: Section, after: str, limit: int) -> Piece:
        """At most `limit` documents after this place ('' for the beginning), fewer where they are big; none at the
        end. The state of what is under way is that of a lease that has run out."""

    @abstractmethod
    async def state(self) -> CopyState | None:
        """How far a copy into this store has come; None if none was ever begun."""

    @abstractmethod
    async def begin(self, source_mark: str, counters: Sequence[bytes]) -> None:
        """Write the documents of the section `counters` and remember the mark of the source, as one."""

    @abstractmethod
    async def write(self, section: Section, piece: Piece) -> None:
        """Write a piece of any section but `counters`, and remember `piece.after` as reached, as one. What is there
        already is not doubled."""

    @abstractmethod
    async def complete(self) -> None:
        """Remember that every piece is written."""
