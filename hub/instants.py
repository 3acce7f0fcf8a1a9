"""Instants as RFC 3339 text: read as aware UTC, and written with `Z`."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,12})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_instant(text: object) -> datetime:
    """An RFC 3339 instant as aware UTC. Raises `ValueError` for anything else, including leap seconds."""
    if isinstance(text, str) and _RFC3339.fullmatch(text):
        try:
            # RFC 3339 allows a lower-case z, which `fromisoformat` does not read.
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError("must be an RFC 3339 instant with an offset, such as 2026-11-23T12:00:00Z")


def instant_text(at: datetime, timespec: str = "auto") -> str:
    """An aware UTC instant as RFC 3339 text with `Z`; `timespec` as of `datetime.isoformat`."""
    return at.isoformat(timespec=timespec).replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant, json_schema_input_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A member of a request that holds an instant."""
