"""Instants as RFC 3339 text: read as aware UTC, and written with `Z`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:)([0-9]{2})((?:\.[0-9]{1,12})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))"
)
_UNESCAPED = re.compile(r".{16,} [0-9]{2}:[0-9]{2}")
UNESCAPED_PLUS = "; in a URL, write + as %2B"
"""The end of a complaint about text from a query in which a space may have been a plus sign."""
_RULE = "must be an RFC 3339 instant with an offset, such as 2026-11-23T12:00:00Z"


def parse_instant(text: object) -> datetime:
    """An RFC 3339 instant as aware UTC. Raises `ValueError` for anything else.

    A leap second, 23:59:60 in UTC, is the second after it, as in POSIX time.
    """
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        escaped = isinstance(text, str) and _UNESCAPED.fullmatch(text)
        raise ValueError(_RULE + (UNESCAPED_PLUS if escaped else ""))
    try:
        # RFC 3339 allows a lower-case z, which `fromisoformat` does not read.
        if match[2] != "60":
            return datetime.fromisoformat(match[0].upper()).astimezone(UTC)
        before = datetime.fromisoformat(f"{match[1]}59{match[3]}".upper()).astimezone(UTC)
        if (before.hour, before.minute) == (23, 59):
            return before + timedelta(seconds=1)
    except (ValueError, OverflowError):
        pass
    raise ValueError(_RULE)


def instant_text(at: datetime, timespec: str = "auto") -> str:
    """An aware UTC instant as RFC 3339 text with `Z`; `timespec` as of `datetime.isoformat`."""
    return at.isoformat(timespec=timespec).replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant, json_schema_input_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A member of a request that holds an instant."""
