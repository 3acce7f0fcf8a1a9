"""Scans of indexes: sorted sets whose members are 13 digits of milliseconds and an id, read newest first.

They go in steps, so that none holds up the server for long.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from hub.errors import BadRequest
from hub.stores.base import Page
from hub.stores.milliseconds import milliseconds
from hub.stores.paging import cursor_of, position_of
from hub.stores.redis.client.connection import Argument
from hub.stores.redis.client.engine import Engine

T = TypeVar("T")

STEP: Final = 1_000
"""How many hashes are looked at in one call, at most."""
_ROOM: Final = 5_000
"""How many members are read at once, at most, from all indexes together."""
DIGITS: Final = 13
_LATEST: Final = 10**DIGITS - 1


def id_of(member: bytes) -> str:
    return member[DIGITS:].decode()


def at_of(member: bytes) -> int:
    """Its instant, in milliseconds."""
    return int(member[:DIGITS])


def from_instant(since: datetime | None) -> str:
    """The lower bound of what is not before an instant."""
    return "-" if since is None else f"[{_digits(since)}"


def until_instant(until: datetime | None) -> str:
    """The upper bound of what is before an instant."""
    return "+" if until is None else f"({_digits(until)}"


def until_page(page: Page, until: datetime | None = None) -> str:
    """The upper bound of what comes after a page's cursor, and is before an instant. Raises `BadRequest`."""
    bound = until_instant(until)
    if page.cursor is None:
        return bound
    at, last = position_of(page.cursor, int, str)
    if not 0 <= at <= _LATEST:
        raise BadRequest("The cursor is not one that this list gave; leave it out to start over.")
    after = f"({at:0{DIGITS}}{last}"
    return after if bound == "+" else min(after, bound)


def _digits(instant: datetime) -> str:
    return f"{min(max(milliseconds(instant), 0), _LATEST):0{DIGITS}}"


def cursor_at(instant: datetime, id_: str) -> str:
    """The cursor of a page that ends with this."""
    return cursor_of(milliseconds(instant), id_)


async def at_once(engine: Engine, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """The replies to commands that read, with nothing written between them."""
    if not commands:
        return []
    replies = await engine.ask_all([("MULTI",), *commands, ("EXEC",)])
    found: list[Any] = replies[-1]
    return found


async def newest(
    engine: Engine, indexes: Sequence[str], low: str, high: str, wanted: int
) -> AsyncGenerator[list[bytes], None]:
    """The members between two bounds of all indexes together, newest first, in parts; `wanted` of each index at first.

    Each part is read at once, so what moves from one index to another is neither missed nor given twice in it.
    """
    # Merged here, because the server has no command that merges indexes and stops at a limit.
    while indexes:
        share = max(min(wanted, _ROOM // len(indexes)), 1)
        found = await at_once(engine, [("ZREVRANGEBYLEX", index, high, low, "LIMIT", 0, share) for index in indexes])
        # Below the last member of an index that has more, nothing is known of that index.
        ends = [members[-1] for members in found if len(members) == share]
        end = max(ends, default=b"")
        part = sorted({member for members in found for member in members if member >= end}, reverse=True)
        if part:
            yield part
        if not ends:
            return
        high, wanted = f"({end.decode()}", STEP


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
