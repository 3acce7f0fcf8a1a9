"""The answers kept with idempotency keys, as both kinds of store keep them: verdicts as JSON arrays."""

from collections.abc import Iterable
from typing import Final

import orjson

from hub.errors import Invalid, Unavailable
from hub.stores.base import ItemResult

_MEMBERS: Final = 4
"""Of a verdict: index, status, id and problem. A newer version may have added others at the end."""


def written(verdicts: Iterable[ItemResult]) -> str:
    """Verdicts as they are kept."""
    return orjson.dumps([(v.index, v.status, v.id, v.problem) for v in verdicts]).decode()


def results(kept: str) -> list[ItemResult]:
    """The verdicts that were kept. Raises `READ_ERRORS`."""
    return [ItemResult(*verdict[:_MEMBERS]) for verdict in orjson.loads(kept)]


def another_request() -> Invalid:
    return Invalid("This Idempotency-Key was used for another request; use a new one.")


def unreadable_answer() -> Unavailable:
    """While two versions run side by side, the same request may reach a process next that can read the answer."""
    return Unavailable("The answer kept with this Idempotency-Key cannot be read by this version.", retry_after=1.0)
