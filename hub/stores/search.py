"""Whether a search finds an event, for stores whose server cannot tell."""

from collections.abc import Callable
from typing import Any

import orjson

from hub.stores.base import SEARCHED, TextSearch
from hub.stores.stored import StoredEvent


def beginning_with(search: TextSearch) -> Callable[[Any], bool]:
    """Says of a member whether it is a text, or a whole number, that begins with the prefix of the search."""
    prefix = _folded(search.prefix)

    def begins(value: Any) -> bool:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return isinstance(value, str) and _folded(value).startswith(prefix)

    return begins


def finder(search: TextSearch) -> Callable[[StoredEvent], bool]:
    """Says of an event whether the search finds it."""
    begins = beginning_with(search)
    of_type: dict[str, list[tuple[str, ...]]] = {}
    for type_, path in search.members:
        of_type.setdefault(type_, []).append(path)

    def finds(event: StoredEvent) -> bool:
        if begins(event.id) or begins(event.source_id) or begins(event.subject):
            return True
        data = orjson.loads(event.data)
        return any(begins(_member(data, path)) for path in (*SEARCHED, *of_type.get(event.type, ())))

    return finds


def _folded(text: str) -> bytes:
    # Of bytes only ASCII letters are folded, as SQLite's LIKE does it.
    return text.encode().lower()


def _member(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
