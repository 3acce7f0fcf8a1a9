"""Server-Sent Events as ready bytes (WHATWG HTML, 9.2: https://html.spec.whatwg.org/multipage/server-sent-events.html).

Only an event ends with a blank line. To the standard a block without data is nothing, but clients exist that make an
event of every blank line, whose data is then empty and not JSON.
"""

import random
from collections.abc import Callable

import orjson

from hub.models import FeedKind, FeedRow

HEARTBEAT = b":\n"
"""A comment, which listeners ignore. It keeps proxies from closing an idle connection."""


def event(at: int, kind: FeedKind, data: bytes) -> bytes:
    """One event, whose id is the cursor `at`.

    `data` should be one line: a line end would end the field, so each further line gets a field.
    """
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(data.splitlines())
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (at, kind.encode(), data)


def entry(row: FeedRow, name_of: Callable[[str], str | None]) -> bytes:
    """One entry of the feed, its id as the cursor. `name_of` gives the name of a subscription."""
    data, subscription_id = row.entry.data, row.entry.subscription_id
    if subscription_id is not None:
        # Here and not where it was written: the name is the present one, in entries of older versions too. The member
        # is found by its bytes, which costs a hundredth of reading the JSON; inside a string its quotes are escaped.
        member = b'"subscription_id":%b' % orjson.dumps(subscription_id)
        data = data.replace(member, b'%b,"subscription_name":%b' % (member, orjson.dumps(name_of(subscription_id))), 1)
    return event(row.id, row.entry.kind, data)


def gap(at: int, oldest: int, requested: int | None) -> bytes:
    """An event that says that entries before the cursor `at` are missing.

    The listener's cursor `requested` (None: not readable) is older than the oldest entry that is kept, or the hub never
    gave it out.
    """
    asked = b"null" if requested is None else b"%d" % requested
    return event(at, FeedKind.GAP, b'{"oldest":%d,"requested":%b}' % (oldest, asked))


def retry(least: float, most: float) -> bytes:
    """A line that asks the listener to reconnect after a random number of seconds between two bounds, so that listeners
    do not all return at once. It takes effect at once, and belongs to the block that follows, if any."""
    seconds = random.uniform(least, most)  # noqa: S311 - spreads load, guards nothing
    return b"retry: %d\n" % round(seconds * 1000)


def cursor(at: int) -> bytes:
    """Moves `Last-Event-ID` where there is no event to show."""
    return event(at, FeedKind.CURSOR, b"{}")


def comment(text: str) -> bytes:
    """A line for people; programs ignore it."""
    return b": %b\n" % text.encode()
