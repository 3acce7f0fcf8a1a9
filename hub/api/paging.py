"""Pages of what is kept in memory."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hub.stores.base import Listing, Page

T = TypeVar("T")


def page_of(items: Sequence[T], page: Page, key: Callable[[T], str], *, descending: bool = False) -> Listing[T]:
    """The items of a page of a list that is sorted by `key`; its cursor is the key of its last item."""
    # After a key and not after a number of items, so that items which come or go between two pages shift nothing.
    after = page.cursor
    if after is not None:
        items = [item for item in items if (key(item) < after if descending else key(item) > after)]
    kept = tuple(items[: page.limit])
    return Listing(kept, key(kept[-1]) if len(items) > len(kept) else None)
