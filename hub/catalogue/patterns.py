"""Event type patterns, by which a subscription selects events: exact names, `order.*` and `*`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Generic, TypeVar

from hub.errors import Fault, Invalid

T = TypeVar("T")

MAX_TYPE_LENGTH = 255
_TYPE = re.compile(rf"[!-)+-~]{{1,{MAX_TYPE_LENGTH}}}")
RESERVED = "hub."
"""How the types begin that only the hub itself may publish."""
_CACHED_TYPES = 4_096


def is_type(text: str) -> bool:
    """Whether an event type may have this name: 1 to 255 printable ASCII characters, without space and `*`.

    Dots separate its segments. The types of CloudEvents fit, such as `com.example.order/v1`.
    """
    return _TYPE.fullmatch(text) is not None


def is_reserved(event_type: str) -> bool:
    """Whether only the hub itself may publish events of this type."""
    return event_type.startswith(RESERVED)


def is_pattern(text: str) -> bool:
    """Whether it is a type, a type followed by `.*`, or `*`."""
    return text == "*" or is_type(text.removesuffix(".*"))


def check_patterns(patterns: Iterable[str], pointer: str = "/event_types") -> None:
    """Raise `Invalid` with a pointer to each text that is not a pattern."""
    wrong = tuple(
        Fault("must be an event type, a prefix such as `order.*`, or `*`", f"{pointer}/{index}")
        for index, pattern in enumerate(patterns)
        if not is_pattern(pattern)
    )
    if wrong:
        raise Invalid("An event type pattern is malformed.", errors=wrong)


def matches(pattern: str, event_type: str) -> bool:
    """Whether the pattern matches the type: `order.*` stands for one or more trailing segments, `*` for all."""
    if not pattern.endswith("*"):
        return pattern == event_type
    prefix = pattern[:-1]
    return len(event_type) > len(prefix) and event_type.startswith(prefix)


class PatternIndex(Generic[T]):
    """Items by their patterns, found by an event's type without going through all of them.

    Example:

        PatternIndex([("order.*", "a"), ("*", "b")]).find("order.created")  # ("a", "b")

    It never changes: a changed catalogue makes a new one. A look-up costs one probe for each dot of the type, and
    a repeated look-up of the same type a single one.
    """

    def __init__(self, patterns: Iterable[tuple[str, T]]) -> None:
        self._items: list[T] = []
        self._by_pattern: Mapping[str, set[int]] = defaultdict(set)
        self._found: dict[str, tuple[T, ...]] = {}
        places: dict[int, int] = {}
        for pattern, item in patterns:
            place = places.setdefault(id(item), len(self._items))
            if place == len(self._items):
                self._items.append(item)
            self._by_pattern[pattern].add(place)

    def find(self, event_type: str) -> tuple[T, ...]:
        """Each item with a pattern that matches the type, once, in the order in which they were first given."""
        found = self._found.get(event_type)
        if found is None:
            found = self._search(event_type)
            # Publishers choose the names of types, so without a bound they could fill the memory.
            if len(self._found) >= _CACHED_TYPES:
                self._found.clear()
            self._found[event_type] = found
        return found

    def _search(self, event_type: str) -> tuple[T, ...]:
        places = {place for pattern in _patterns_for(event_type) for place in self._by_pattern.get(pattern, ())}
        return tuple(self._items[place] for place in sorted(places))


@lru_cache(maxsize=_CACHED_TYPES)
def patterns_of(event_type: str) -> frozenset[str]:
    """Every pattern that matches the type, to look up many patterns in."""
    return frozenset(_patterns_for(event_type))


def _patterns_for(event_type: str) -> Iterable[str]:
    """Every pattern that matches the type."""
    yield "*"
    yield event_type
    dot = event_type.find(".")
    while 0 <= dot < len(event_type) - 1:
        yield event_type[: dot + 1] + "*"
        dot = event_type.find(".", dot + 1)
