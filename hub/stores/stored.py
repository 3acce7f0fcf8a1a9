"""Events, attempts and feed entries as every store keeps them, and their way from the models and back.

A struct's members have the names of the model's. Their order is that of the msgpack arrays in Redis; SQLite has a
column of each name. A new member goes to the end and has a default, because what older versions wrote ends before it;
SQLite gets a migration that adds its column. Members that a newer version added at the end are ignored.
"""

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final, Generic, TypeVar, get_args, get_type_hints

import msgspec
from msgspec.structs import fields

from hub.models import Attempt, Cause, Event, FeedEntry, FeedKind, Outcome
from hub.stores.milliseconds import instant, milliseconds

Stored = TypeVar("Stored", bound=msgspec.Struct)
Model = TypeVar("Model")

_ENUMS: Final = {kind.__name__: kind for kind in (Cause, FeedKind, Outcome)}


class StoredEvent(msgspec.Struct, array_like=True):
    """All of an event that never changes. Each store keeps beside it when it was cancelled, and its fan-out cursor."""

    tenant: str
    type: str
    subject: str | None
    source: str
    source_id: str | None
    accepted_at: int
    id: str
    time: int
    content_type: str | None
    data_base64: bool
    extensions: dict[str, str | int | bool]
    ordering_key: str | None
    deliver_at: int | None
    expires_at: int | None
    traceparent: str | None
    data: str


class StoredAttempt(msgspec.Struct, array_like=True):
    """All of an attempt but its number, by which it is kept."""

    cause: str
    started_at: int
    duration_ms: int | None
    outcome: str
    status_code: int | None
    error: str | None
    response_body: str | None


class StoredFeedEntry(msgspec.Struct, array_like=True):
    tenant: str
    kind: str
    data: str
    event_type: str | None
    event_id: str | None
    subscription_id: str | None
    status: str | None


class Codec(Generic[Stored, Model]):
    """Turns a model into the members of its struct and back: instants into milliseconds, JSON into text.

    Both ways are compiled once, from the names of the members, as `dataclasses` compiles its methods: every accept,
    claim and result takes them, and a loop over the members would take twice as long. For an attempt, `values` is
    `lambda it: (it.cause, milliseconds(it.started_at), it.duration_ms, …)`.

    Example:
        >>> attempts.restored(*attempts.values(attempt), number=attempt.number) == attempt
        True
    """

    def __init__(self, struct: type[Stored], model: type[Model], *, beside: str = "") -> None:
        """`beside` is the member of the model that is not in the struct, because stores keep it elsewhere."""
        self.fields: Final = struct.__struct_fields__
        self._struct = struct
        hints = get_type_hints(model)
        self._written = f"({', '.join(_written(name, hints[name]) for name in self.fields)})"
        self.values: Final[Callable[[Model], Sequence[Any]]] = _compiled(f"lambda it: {self._written}")
        """The members of a model, in the struct's order."""
        taken = [one.name if one.required else f"{one.name}={one.default!r}" for one in fields(struct)]
        # A dataclass takes members by position in half the time that it needs to take them by name.
        by_position = self.fields == getattr(model, "__match_args__", ())
        given = [("" if by_position else f"{name}=") + _read(name, hints[name]) for name in self.fields]
        if beside:
            given.append(f"{beside}={beside}")
        source = f"lambda {', '.join([*taken, '*_', beside])}: model({', '.join(given)})"
        self.restored: Final[Callable[..., Model]] = _compiled(source, model=model)
        """The model of members in the struct's order, and by name of the one that is kept beside them."""

    def stored(self, model: Model) -> Stored:
        return self._struct(*self.values(model))

    def writer(self, encode: Callable[[Any], bytes]) -> Callable[[Model], bytes]:
        """Gives a function that encodes the members of a model, in the struct's order."""
        return _compiled(f"lambda it: encode({self._written})", encode=encode)


def _written(name: str, hint: Any) -> str:
    match _kind(hint):
        case "datetime":
            return _unless_none(f"milliseconds(it.{name})", f"it.{name}", hint)
        case "bytes":
            return _unless_none(f"it.{name}.decode()", f"it.{name}", hint)
    return f"it.{name}"


def _read(name: str, hint: Any) -> str:
    match _kind(hint):
        case "datetime":
            return _unless_none(f"instant({name})", name, hint)
        case "bytes":
            return _unless_none(f"{name}.encode()", name, hint)
        case kind if kind in _ENUMS:
            return _unless_none(f"{kind}({name})", name, hint)
    return name


def _unless_none(converted: str, value: str, hint: Any) -> str:
    return f"None if {value} is None else {converted}" if NoneType in get_args(hint) else converted


def _kind(hint: Any) -> str:
    """The name of a type, without its `| None`."""
    kind = next((part for part in get_args(hint) if part is not NoneType), hint) if NoneType in get_args(hint) else hint
    return getattr(kind, "__name__", "")


def _compiled(source: str, **names: Any) -> Callable[..., Any]:
    known = {"milliseconds": milliseconds, "instant": instant, **_ENUMS, **names}
    compiled: Callable[..., Any] = eval(source, known)  # noqa: S307 - made of the names in this module, not of input
    return compiled


events: Final = Codec(StoredEvent, Event, beside="cancelled_at")
attempts: Final = Codec(StoredAttempt, Attempt, beside="number")
feed_entries: Final = Codec(StoredFeedEntry, FeedEntry)
