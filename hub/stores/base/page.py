"""Lists that are read page by page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most `limit` items after `cursor`, newest first. The page before gave the cursor."""

    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    items: tuple[T, ...]
    next_cursor: str | None = None
    searched_to: datetime | None = None
    """Where a call stopped before it had found enough: what is older has not been looked at. `next_cursor` goes on
    there."""
