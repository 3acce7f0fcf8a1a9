"""Pages by position: a cursor names the last item of its page, so items that are added later shift nothing."""

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import orjson

from hub.errors import BadRequest
from hub.stores.base import PAGE_BYTES, Listing, Page
from hub.stores.milliseconds import instant

T = TypeVar("T")


def cursor_of(*position: int | str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def position_of(cursor: str, *kinds: type) -> list[Any]:
    """What `cursor_of` was given; raises `BadRequest` for anything else."""
    try:
        position = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        position = None
    if not isinstance(position, list) or [type(part) for part in position] != list(kinds):
        raise BadRequest("The cursor is not one that this list gave; leave it out to start over.")
    return position


def listing(items: Sequence[T], page: Page, cursor: Callable[[T], str]) -> Listing[T]:
    """A page of items. The caller read one more than `page.limit`, which shows whether there is another page."""
    kept = tuple(items[: page.limit])
    return Listing(kept, cursor(kept[-1]) if len(items) > len(kept) > 0 else None)


def fitting(sizes: Iterable[int], page: Page) -> Page:
    """The page with no more items than `PAGE_BYTES` hold, but one at least. `sizes` are those of the items."""
    fit = sum(total <= PAGE_BYTES for total in accumulate(sizes))
    return Page(min(max(fit, 1), page.limit), page.cursor)


def searched(found: Listing[T], end: tuple[int, int | str] | None) -> Listing[T]:
    """A page of a query that looked no further than the position `end`, an instant and a key; None: to the end of
    the list."""
    if found.next_cursor is not None or end is None:
        return found
    return Listing(found.items, cursor_of(*end), instant(end[0]))
