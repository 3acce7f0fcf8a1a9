"""Paths into an event: `data.customer.email`, `data.items[].sku` for any element, `data["price.usd"]`.

A path starts at `id type source subject time data`. A dotted number, or a number in brackets, goes into an array.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Any, Final

ROOTS = ("id", "type", "source", "subject", "time", "data")
MAX_LENGTH = 1_024
MAX_SEGMENTS = 16
MAX_ELEMENTS = 10_000
"""Elements that a path looks at in one event: filters are checked on the event loop."""


class Missing(Enum):
    """Where a path leads nowhere."""

    MISSING = "missing"


class Element(Enum):
    """The part of a path that stands for any element of an array."""

    ANY = "[]"


MISSING: Final = Missing.MISSING
ANY: Final = Element.ANY
Path = tuple[str | int | Element, ...]

# A comparison inside of a path would be part of a name, and never hold.
_PART = re.compile(r'\.(?P<name>[^.\[\]<>=]+)|\[(?P<index>[0-9]{1,6})\]|\[\*?\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]')
_FORM = 'must be a path such as data.total, data.items[].sku, data.items[0].sku or data["price.usd"]'
_INDEX = re.compile(r"[0-9]{1,6}")


def parse_path(text: str) -> Path:
    """Raises `ValueError`, which says what a path must be, and never repeats the text."""
    parts: list[str | int | Element] = []
    # With the dot that every other name has in front of it.
    dotted, position = f".{text}", 0
    while position < len(dotted) and len(text) <= MAX_LENGTH:
        part = _PART.match(dotted, position)
        if part is None:
            raise ValueError(_FORM)
        parts.append(_part(part))
        position = part.end()
    return checked_path(tuple(parts))


def plain_path(text: str) -> Path:
    """The path as releases before 0.3 read it: names between dots, in which brackets stand for themselves."""
    return checked_path(tuple(text.split(".")))


def checked_path(path: Path) -> Path:
    """The path, where it starts at a member of an event and is not too long. Raises `ValueError`."""
    if not path or path[0] not in ROOTS:
        raise ValueError(f"must start with one of {' '.join(ROOTS)}, or be `any` or `not`")
    if "" in path or len(path) > MAX_SEGMENTS:
        raise ValueError(f"must have at most {MAX_SEGMENTS} segments, none empty")
    return path


def _part(part: re.Match[str]) -> str | int | Element:
    if part["name"] == "*":
        raise ValueError('must name any element as [], and a member with this name as ["*"]')
    if part["name"] is not None:
        return part["name"]
    if part["index"] is not None:
        return int(part["index"])
    if part["quoted"] is not None:
        return _unquoted(part["quoted"])
    return ANY


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        raise ValueError(_FORM) from None


def value_at(event: Any, path: Path) -> Any:
    """What stands at a path without `[]`, or `MISSING`."""
    value = event
    for part in path:
        value = _step(value, part)
        if value is MISSING:
            break
    return value


def values_at(event: Any, path: Path) -> Iterator[Any]:
    """What stands at a path with `[]` for each element, `MISSING` among it; at most `MAX_ELEMENTS`."""
    return islice(_each(event, path), MAX_ELEMENTS)


def _each(value: Any, path: Path) -> Iterator[Any]:
    here = path.index(ANY)
    array, rest = value_at(value, path[:here]), path[here + 1 :]
    if not isinstance(array, list) or not array:
        yield MISSING
    elif ANY in rest:
        for element in array:
            yield from _each(element, rest)
    else:
        for element in array:
            yield value_at(element, rest)


def _step(value: Any, part: str | int | Element) -> Any:
    if isinstance(value, dict):
        return value.get(part, MISSING)
    if isinstance(value, list) and (isinstance(part, int) or (isinstance(part, str) and _INDEX.fullmatch(part))):
        index = int(part)
        return value[index] if index < len(value) else MISSING
    return MISSING
