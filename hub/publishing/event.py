"""A published event after parsing and before acceptance (`ParsedEvent`), and the hub's native format."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hub.catalogue.patterns import MAX_TYPE_LENGTH, RESERVED, is_reserved, is_type
from hub.clock import to_millisecond
from hub.errors import Fault, Invalid
from hub.instants import Instant
from hub.models import Event
from hub.publishing.rawjson import parse_object
from hub.validation import pointer, pydantic_faults

DEFAULT_SOURCE = "urn:notification-hub"
"""The source of a native event that was published without one."""
HUB_SOURCES = "hub:"
"""How the sources of events begin that the hub itself names. Only these can tell who sent an event, so that no client
can take the id of an event that another sender is about to announce."""
MAX_TEXT_LENGTH = 1_024
_SUBJECTS = {"order": ("orders", "order_id"), "user": ("users", "user_id")}
"""What the events of a family are about: a collection, and the member of the data with the id."""
_NOT_TEXT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x11_0000, 0x1_0000))
    + "]"
)


def is_text(text: str) -> bool:
    """Whether it holds neither control characters nor code points that are no characters: the rule for strings of
    CloudEvents 1.0.2 (section 3.1), which the hub applies to every name and attribute."""
    # Printable ASCII, which nearly all of them are, is known without a search.
    return (text.isascii() and text.isprintable()) or _NOT_TEXT.search(text) is None


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """One event to accept. `data` is the publisher's JSON, byte for byte; `data_value` is the same parsed.

    The bytes are what receivers get and what is signed; see docs/decisions/0003.
    """

    type: str
    source: str
    source_id: str | None
    """The publisher's own id; with `source` it identifies the event."""
    subject: str | None
    time: datetime | None
    data: bytes = field(repr=False)
    data_value: Any = field(repr=False)
    content_type: str | None = None
    data_base64: bool = False
    """`data` is a JSON string that holds a body which is not JSON, in base64."""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)
    ordering_key: str | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None
    traceparent: str | None = None

    def accepted(self, id_: str, tenant: str, at: datetime) -> Event:
        """The event as it is accepted, with its instants cut to the millisecond, as stores keep them."""
        members = dict(zip(_ACCEPTED, _accepted_of(self), strict=True))
        for name in ("time", "deliver_at", "expires_at"):
            if (instant := members[name]) is not None:
                members[name] = to_millisecond(instant)
        members["time"] = members["time"] or at
        members["subject"] = members["subject"] or _natural_subject(self.type, self.data_value)
        return Event(id=id_, tenant=tenant, accepted_at=at, **members)


# What an event and its parsed and native forms have in common passes from one to the next by name, so that a new member
# needs no line of code. See docs/decisions/0013.
_ACCEPTED = tuple(one.name for one in fields(ParsedEvent) if one.name in Event.model_fields)
_accepted_of = attrgetter(*_ACCEPTED)


def _natural_subject(event_type: str, data: Any) -> str | None:
    """The subject that an order or user event has under the path of its order or user (`fill_from_path`)."""
    family, dot, _ = event_type.partition(".")
    if not dot or family not in _SUBJECTS or not isinstance(data, dict):
        return None
    collection, member = _SUBJECTS[family]
    id_ = data.get(member)
    if not isinstance(id_, str | int) or isinstance(id_, bool):
        return None
    subject = f"{collection}/{id_}"
    return subject if id_ != "" and len(subject) <= MAX_TEXT_LENGTH and is_text(subject) else None


def _check_type(text: str) -> str:
    if not is_type(text):
        raise ValueError("must be printable ASCII without spaces and `*`")
    return text


def check_text(text: str) -> str:
    """Raises `ValueError` where `is_text` does not hold."""
    if not is_text(text):
        raise ValueError("must not hold control characters")
    return text


def _check_attachments(files: tuple[str, ...]) -> tuple[str, ...]:
    if files:
        raise ValueError("attachments are not supported yet; publish without them")
    return files


TypeName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TYPE_LENGTH, examples=["order.created"]),
    AfterValidator(_check_type),
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH), AfterValidator(check_text)]


class NewEvent(BaseModel):
    """The native format of an event."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: TypeName
    data: Any = Field(description="Any JSON; of a built-in or registered type, what its schema asks for.")
    id: Text | None = Field(None, description="Yours: a second event with the same source and id is a duplicate.")
    source: Text = DEFAULT_SOURCE
    subject: Text | None = Field(None, examples=["orders/1001"])
    time: Instant | None = Field(None, description="When it happened; by default when it was accepted.")
    deliver_at: Instant | None = Field(None, description="Nothing is sent before.")
    expires_at: Instant | None = Field(None, description="Nothing is sent after.")
    ordering_key: Text | None = Field(None, description="Kept with the event; deliveries are not ordered by it yet.")
    attachments: Annotated[tuple[str, ...], AfterValidator(_check_attachments)] = Field(
        (), description="Ids of files. Not supported yet: must be empty."
    )


_NATIVE = tuple(one.name for one in fields(ParsedEvent) if one.name in NewEvent.model_fields and one.name != "data")


class MissingType(Invalid):
    """An object that is not an event in the native format, nor meant to be one."""

    def __init__(self, errors: Sequence[Fault]) -> None:
        super().__init__(
            "An event is an object with `type` and `data`. What a sender posts in a form of its own needs a source "
            "(POST /v1/sources) or, from GitHub or Shopify, the header X-GitHub-Event or X-Shopify-Topic.",
            errors=errors,
        )


def parse_native(raw: bytes) -> ParsedEvent:
    """Read one event in the native format.

    Raises `BadRequest` when it is not JSON, `MissingType`, and `Invalid`, with pointers, when it is not an object or a
    member breaks a rule.
    """
    members, slices = parse_object(raw)
    if "specversion" in members:
        raise Invalid("This is a CloudEvent: send it with the media type application/cloudevents+json.")
    try:
        event = NewEvent.model_validate(members)
    except ValidationError as error:
        faults = pydantic_faults(error, known=NewEvent.model_fields)
        raise Invalid("The event is malformed.", errors=faults) if "type" in members else MissingType(faults) from None
    check_times(event.deliver_at, event.expires_at)
    native = vars(event)
    return ParsedEvent(
        source_id=event.id,
        data=bytes(slices["data"]),
        data_value=event.data,
        **{name: native[name] for name in _NATIVE},
    )


def refuse_reserved(event: ParsedEvent) -> None:
    """Raise `Invalid` for an event of a client that has a name which is the hub's own."""
    faults = []
    if is_reserved(event.type):
        faults.append(Fault(f"must not begin with {RESERVED}", "/type"))
    if event.source.startswith(HUB_SOURCES):
        faults.append(Fault(f"must not begin with {HUB_SOURCES}", "/source"))
    if faults:
        raise Invalid("The event has a name that is reserved for the hub itself.", errors=faults)


def check_times(deliver_at: datetime | None, expires_at: datetime | None) -> None:
    """Raise `Invalid` for an event that would expire before it may be delivered."""
    if deliver_at is not None and expires_at is not None and expires_at <= deliver_at:
        raise Invalid("The event would never be sent.", errors=[Fault("must be after deliver_at", "/expires_at")])


def fill_from_path(event: ParsedEvent, *, subject: str, member: str, value: str) -> ParsedEvent:
    """The event with its subject set and `member` of its data filled in, as the typed routes promise.

    Only that member is added; all other bytes of the data stay as they were sent. Raises `Invalid` when subject or
    member were sent with another value, or when the data is not an object.
    """
    faults = []
    if event.subject not in (None, subject):
        faults.append(Fault("must be absent, or equal to the value in the path", "/subject"))
    if not isinstance(event.data_value, dict):
        raise Invalid("The event is malformed.", errors=[*faults, Fault("must be an object", "/data")])
    # A number names the same order or user as its digits do in a path.
    given = event.data_value.get(member, value)
    if (str(given) if type(given) is int else given) != value:
        faults.append(Fault("must be absent, or equal to the value in the path", pointer("data", member)))
    if faults:
        raise Invalid("The event contradicts the path it was sent to.", errors=faults)
    if member in event.data_value:
        return replace(event, subject=subject)
    # The member is put before the first one that was sent. Nothing that was sent is encoded again, not even a space.
    filled = orjson.dumps({member: value})
    rest = event.data.lstrip()[1:] if event.data_value else b"}"
    return replace(
        event,
        subject=subject,
        data=filled[:-1] + (b"," if event.data_value else b"") + rest,
        data_value={member: value, **event.data_value},
    )
