"""Events, deliveries, attempts and feed entries as they lie in Redis; `lua/indexes.lua` says where.

What a script unpacks may hold no `bytes`: the server's MessagePack is older than that type. JSON is packed as text;
what else travels inside something packed is as_str_bytes, or goes to the script as an argument of its own.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hub.models import Attempt, Cause, Delivery, Event, FeedEntry, FeedKind, Outcome, Status
from hub.stores.milliseconds import instant, instant_or_none, milliseconds, milliseconds_or_none

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder().decode


def as_str_bytes(value: bytes) -> msgspec.Raw:
    """Bytes for `pack` as what a script takes for text, which to it is any bytes; Python must not unpack them."""
    size = len(value)
    if size < 1 << 8:
        return msgspec.Raw(b"\xd9" + size.to_bytes(1, "big") + value)
    if size < 1 << 16:
        return msgspec.Raw(b"\xda" + size.to_bytes(2, "big") + value)
    return msgspec.Raw(b"\xdb" + size.to_bytes(4, "big") + value)


DELIVERY_FIELDS: Final = ["ten", "evt", "type", "sub", "chan", "st", "why", "n", "base", "tok", "due", "at", "upd"]
"""What `delivery_from` takes, in this order."""


def event_document(event: Event) -> bytes:
    """All of an event but what changes later: whether it was cancelled. The scripts read the first six."""
    return pack(
        (
            event.tenant,
            event.type,
            event.subject,
            event.source,
            event.source_id,
            milliseconds(event.accepted_at),
            event.id,
            milliseconds(event.time),
            event.content_type,
            event.data_base64,
            event.extensions,
            event.ordering_key,
            milliseconds_or_none(event.deliver_at),
            milliseconds_or_none(event.expires_at),
            event.traceparent,
            event.data.decode(),
        )
    )


def event_from(document: bytes, cancelled: bytes | None) -> Event:
    """The event of a document and of `cancelled` in its state. Raises `ValueError` for what is no such document."""
    parts = unpack(document)
    if not isinstance(parts, list) or len(parts) != 16:
        raise ValueError("This is no event.")
    tenant, type_, subject, source, source_id, accepted, id_, time, *rest = parts
    content_type, base64, extensions, ordering_key, deliver_at, expires_at, traceparent, data = rest
    return Event(
        id=id_,
        tenant=tenant,
        type=type_,
        source=source,
        source_id=source_id,
        subject=subject,
        time=instant(time),
        data=data.encode(),
        content_type=content_type,
        data_base64=base64,
        extensions=extensions,
        ordering_key=ordering_key,
        deliver_at=instant_or_none(deliver_at),
        expires_at=instant_or_none(expires_at),
        traceparent=traceparent,
        accepted_at=instant(accepted),
        cancelled_at=None if cancelled is None else instant(int(cancelled)),
    )


def delivery_from(id_: str, row: Sequence[bytes | None]) -> Delivery:
    """The delivery whose hash holds `row`, as `DELIVERY_FIELDS`."""
    tenant, event, type_, lane, channel, status, reason, attempts, base, token, due, created, updated = row
    return Delivery(
        id=id_,
        tenant=_text(tenant),
        event_id=_text(event),
        event_type=_text(type_),
        subscription_id=_text(lane),
        channel=_text(channel),
        status=Status(_text(status)),
        reason=None if reason is None else reason.decode(),
        attempt_count=int(attempts or 0),
        schedule_base=int(base or 0),
        token=int(token or 0),
        next_attempt_at=None if due is None else instant(int(due)),
        created_at=instant(int(created or 0)),
        updated_at=instant(int(updated or 0)),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def packed_attempt(attempt: Attempt) -> bytes:
    """All of an attempt but its number."""
    return pack(
        (
            attempt.cause,
            milliseconds(attempt.started_at),
            attempt.duration_ms,
            attempt.outcome,
            attempt.status_code,
            attempt.error,
            attempt.response_body,
        )
    )


def attempt_from(number: int, packed: bytes) -> Attempt:
    cause, started_at, duration_ms, outcome, status_code, error, response_body = unpack(packed)
    return Attempt(
        number=number,
        cause=Cause(cause),
        started_at=instant(started_at),
        duration_ms=duration_ms,
        outcome=Outcome(outcome),
        status_code=status_code,
        error=error,
        response_body=response_body,
    )


def packed_entry(entry: FeedEntry) -> bytes:
    return pack(
        (
            entry.tenant,
            entry.kind,
            entry.data.decode(),
            entry.event_type,
            entry.event_id,
            entry.subscription_id,
            entry.status,
        )
    )


def entry_from(packed: bytes) -> FeedEntry:
    tenant, kind, data, event_type, event_id, subscription_id, status = unpack(packed)
    known = None if status is None else Status(status)
    return FeedEntry(tenant, FeedKind(kind), data.encode(), event_type, event_id, subscription_id, known)


def fields(reply: Sequence[Any]) -> dict[str, Any]:
    """A reply of names and values in turn, such as HGETALL's, by name."""
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
