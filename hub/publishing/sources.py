"""From a request in the form of its sender to the event that it announces."""

from datetime import datetime

from hub.catalogue.patterns import is_reserved, is_type
from hub.catalogue.sources import Source
from hub.catalogue.sources.schemes import SCHEMES, Announced, Headers, Scheme
from hub.errors import Invalid, UnsupportedMedia
from hub.media_types import JSON, media_type
from hub.publishing.event import DEFAULT_SOURCE, HUB_SOURCES, MAX_TEXT_LENGTH, ParsedEvent, is_text
from hub.publishing.rawjson import BYTE_ORDER_MARK, parse, parse_object


def signed_event(source: Source, headers: Headers, body: bytes, now: datetime) -> ParsedEvent | None:
    """The event, whose data is the body as it came; None when the sender only tests the connection.

    Raises `Unauthorized` before anything else when the signature is not right; then `UnsupportedMedia` and `BadRequest`
    when the body is not JSON, and `Invalid` when it lacks what its scheme asks for.
    """
    source.scheme.verify(headers, body, source.secrets(now), now)
    media = media_type(headers.get("content-type", JSON))
    if media != JSON and not media.endswith("+json"):
        raise UnsupportedMedia(f"Set the sender to send its body as {JSON}, not as a form; sources read JSON only.")
    return _event(source.scheme, source.type_prefix, f"{HUB_SOURCES}source/{source.id}", headers, body)


def announced_event(kind: str, headers: Headers, body: bytes) -> ParsedEvent | None:
    """As `signed_event`, of a sender that has a key and so need not sign. `kind` is one of `EVENT_HEADERS`.

    Raises `BadRequest` when the body is not JSON, and `Invalid` when the name of the event cannot be a type.
    """
    return _event(SCHEMES[kind](), kind, f"{DEFAULT_SOURCE}:{kind}", headers, body)


def _event(scheme: Scheme, type_prefix: str, source: str, headers: Headers, body: bytes) -> ParsedEvent | None:
    value = parse(body)
    announced = scheme.announced(headers, value)
    if announced is None:
        return None
    _check(announced)
    data = body.removeprefix(BYTE_ORDER_MARK)
    if announced.data_member is not None:
        members, slices = parse_object(body)
        data, value = bytes(slices[announced.data_member]), members[announced.data_member]
    return ParsedEvent(
        type=_type(type_prefix, announced.name),
        source=source,
        source_id=announced.id,
        subject=None,
        time=announced.time,
        data=data,
        data_value=value,
    )


def _type(prefix: str, name: str) -> str:
    made = ".".join(part for part in (prefix, name) if part)
    if not is_type(made) or is_reserved(made):
        raise Invalid("The sender's name for the event cannot be the type of one, or part of it.")
    return made


def _check(announced: Announced) -> None:
    id_ = announced.id
    if id_ is not None and not (len(id_) <= MAX_TEXT_LENGTH and is_text(id_)):
        raise Invalid(f"The sender's id is over {MAX_TEXT_LENGTH} characters long, or has control characters.")
