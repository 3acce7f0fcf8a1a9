"""Events, attempts and feed entries as every store keeps them, and their way from the models and back.

A struct's members have the names of the model's. Their order is that of the msgpack arrays in Redis; SQLite has a
column of each name. A new member goes to the end and has a default, because what older versions wrote ends before it.
Members that a newer version added at the end are ignored.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from operator import attrgetter, itemgetter
from typing import Any, Final, Generic, TypeVar, get_args, get_type_hints

import msgspec
from pydantic import BaseModel

from hub.models import Attempt, Event, FeedEntry
from hub.stores.milliseconds import instant, milliseconds

Stored = TypeVar("Stored", bound=msgspec.Struct)
Model = TypeVar("Model")
Convert = Callable[[Any], Any]


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
    """Turns a model into its struct and back: instants into milliseconds, JSON into text, the rest as it is.

    Example:
        >>> attempts.restored(attempts.stored(attempt), number=attempt.number) == attempt
        True
    """

    def __init__(self, struct: type[Stored], model: type[Model]) -> None:
        self.fields: Final = struct.__struct_fields__
        self._struct = struct
        self._make, self._members = _access(model, self.fields)
        hints = get_type_hints(model)
        ways = [(place, name, *_conversion(hints[name])) for place, name in enumerate(self.fields)]
        # Every accept and claim comes here, so only the few members that change their form are looked at.
        self._on_write = [(place, write) for place, _, write, _ in ways if write is not None]
        self._on_read = [(name, read) for _, name, _, read in ways if read is not None]

    def values(self, model: Model) -> Sequence[Any]:
        """The members of the struct, in its order."""
        values = [*self._members(model)]
        for place, convert in self._on_write:
            if (value := values[place]) is not None:
                values[place] = convert(value)
        return values

    def stored(self, model: Model) -> Stored:
        return self._struct(*self.values(model))

    def restored(self, stored: Stored, **others: Any) -> Model:
        """The model, with `others` as those of its members that the struct has not."""
        members = msgspec.structs.asdict(stored)
        for name, convert in self._on_read:
            if (value := members[name]) is not None:
                members[name] = convert(value)
        return self._make({**members, **others})


def _access(model: type[Model], fields: Sequence[str]) -> tuple[Callable[[Any], Model], Callable[[Model], Any]]:
    """What makes a model of its members by name, and what gives these fields of one, each the fastest way."""
    if issubclass(model, BaseModel):
        picked = itemgetter(*fields)
        return model.model_validate, lambda made: picked(vars(made))
    return lambda members: model(**members), attrgetter(*fields)


def _conversion(hint: Any) -> tuple[Convert | None, Convert | None]:
    """What a member of this type goes through when it is written, and when it is read; None: it stays as it is."""
    for kind in get_args(hint) or (hint,):
        if kind is datetime:
            return milliseconds, instant
        if kind is bytes:
            return bytes.decode, str.encode
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return None, kind
    return None, None


events: Final = Codec(StoredEvent, Event)
attempts: Final = Codec(StoredAttempt, Attempt)
feed_entries: Final = Codec(StoredFeedEntry, FeedEntry)
