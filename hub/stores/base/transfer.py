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
    async def write(self, section: Section, piece: Piece) -> None:
        """Put a piece there and remember `piece.after` as reached, as one. What is there already is not doubled."""

    @abstractmethod
    async def reached(self) -> Mapping[Section, str]:
        """For each section that was begun, where the last piece written ended."""
