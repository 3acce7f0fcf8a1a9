"""From a request to publish to its events: which format it has, and how that format is read."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fastapi import Request

from hub.catalogue.sources.schemes import EVENT_HEADERS, Headers
from hub.errors import BadRequest, HubError, TooLarge, UnsupportedMedia
from hub.media_types import CLOUDEVENT, CLOUDEVENTS_BATCH, JSON, NDJSON, media_type
from hub.publishing import cloudevents
from hub.publishing.event import MissingType, ParsedEvent, parse_native
from hub.publishing.rawjson import first_byte, split_array, split_lines
from hub.publishing.sources import announced_event
from hub.stores.base import Idempotency

MAX_KEY_LENGTH = 255
IDEMPOTENCY_SECONDS = 86_400.0

Adapt = Callable[[ParsedEvent], ParsedEvent]
Items = list[ParsedEvent | HubError]
"""A batch. Each item is an event, or the error for which it is refused."""


class Sent(NamedTuple):
    """What a client has sent, read once: a look-up in the framework's headers goes through all of them."""

    headers: Headers
    """By lower-case name; of several with one name the last."""
    body: bytes


async def read(request: Request) -> Sent:
    """Raises `UnsupportedMedia` when the body has a content encoding."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body as it is, without a content encoding.")
    return Sent(headers, await request.body())


def events_of(sent: Sent, adapt: Adapt, *, max_events: int, max_event_bytes: int) -> ParsedEvent | Items | None:
    """The event that was sent, or the batch of them, each passed through `adapt`.

    None when the request only tests the connection. Raises `UnsupportedMedia`; `BadRequest` when the body as a whole
    cannot be read; `TooLarge`; and, outside of a batch, the error of the one event.
    """
    headers, body = sent
    content_type = headers.get("content-type")
    mode = cloudevents.mode(content_type, headers)
    if mode == "binary":
        return adapt(cloudevents.parse_binary(headers, body))
    parse = parse_native if mode is None else cloudevents.parse_structured
    media = media_type(content_type) or JSON
    if mode == "batch" or (media == JSON and first_byte(body) == b"["):
        return _each(split_array(body, max_events), parse, adapt, max_event_bytes)
    if media == NDJSON:
        return _each(split_lines(body, max_events), parse, adapt, max_event_bytes)
    if media in (JSON, CLOUDEVENT):
        try:
            return adapt(parse(body))
        except MissingType as refused:
            # Looked at only now, so that events in the hub's own form, which are nearly all, cost nothing more.
            event = _in_form_of_sender(headers, body, refused)
            return event and adapt(event)
    raise UnsupportedMedia(f"Send {JSON}, {NDJSON}, {CLOUDEVENT} or {CLOUDEVENTS_BATCH}.")


def _in_form_of_sender(headers: Headers, body: bytes, refused: MissingType) -> ParsedEvent | None:
    """What a vendor announces that is known by a header of its own. Raises `refused` where there is none."""
    for name, kind in EVENT_HEADERS.items():
        if name in headers:
            return announced_event(kind, headers, body)
    raise refused


def _each(elements: Sequence[bytes], parse: Callable[[bytes], ParsedEvent], adapt: Adapt, max_bytes: int) -> Items:
    items: Items = []
    for element in elements:
        try:
            if len(element) > max_bytes:
                raise TooLarge(
                    f"An event may have {max_bytes} bytes at most; the operator can raise HUB_MAX_BODY_BYTES."
                )
            items.append(adapt(parse(element)))
        except HubError as error:
            items.append(error)
    return items


def idempotency_of(request: Request, sent: Sent) -> Idempotency | None:
    """The client's key with a fingerprint of everything that makes up the request. Raises `BadRequest`.

    Source: draft-ietf-httpapi-idempotency-key-header-07, section 2.1 (a quoted string; bare ones are taken too).
    """
    header = sent.headers.get("idempotency-key")
    if header is None:
        return None
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise BadRequest(f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} printable characters.")
    digest = hashlib.sha256(request.url.path.encode())
    # Sorted, because the same request may come again with its headers in another order.
    for name, value in sorted(request.headers.items()):
        if name == "content-type" or name in EVENT_HEADERS or name.startswith("ce-"):
            digest.update(f"\n{name}:{value}".encode())
    digest.update(b"\n\n" + sent.body)
    return Idempotency(key, digest.hexdigest(), IDEMPOTENCY_SECONDS)
