"""Events, deliveries, attempts and feed entries as Redis keeps them; `lua/lib/key.lua` says where.

What a script unpacks may not hold `bytes`: the server's MessagePack is older than that type. JSON is packed as text.
Other bytes inside something packed go through `as_str_bytes`, or to the script as an argument of their own.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from hub.models import Attempt, Delivery, Event, FeedEntry, Status
from hub.stores.base import Match
from hub.stores.milliseconds import instant
from hub.stores.stored import StoredAttempt, StoredEvent, StoredFeedEntry, attempts, events, feed_entries

STORE_FORMAT: Final = 2
"""The format of everything under a hub's prefix, kept as `format` in `meta`.

Raise it when an older version would misread or damage what is written, and convert older stores when they are opened.
A new member at the end of something packed needs no new format: see `hub.stores.stored`.
"""

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder().decode
unpack_event: Final = msgspec.msgpack.Decoder(StoredEvent).decode
unpack_attempt: Final = msgspec.msgpack.Decoder(StoredAttempt).decode
unpack_entry: Final = msgspec.msgpack.Decoder(StoredFeedEntry).decode
packed_event: Final = events.writer(pack)
packed_attempt: Final = attempts.writer(pack)
packed_entry: Final = feed_entries.writer(pack)


def as_str_bytes(value: bytes) -> msgspec.Raw:
    """Bytes for `pack` in the form of text, which is any bytes to a script. Python must not unpack them."""
    # By the headers str 8, str 16 and str 32: https://github.com/msgpack/msgpack/blob/master/spec.md#str-format-family
    size = len(value)
    if size < 1 << 8:
        return msgspec.Raw(b"\xd9" + size.to_bytes(1, "big") + value)
    if size < 1 << 16:
        return msgspec.Raw(b"\xda" + size.to_bytes(2, "big") + value)
    return msgspec.Raw(b"\xdb" + size.to_bytes(4, "big") + value)


def document_digest(document: bytes) -> bytes:
    """The digest kept beside an event. It shows later whether the server still has what was accepted."""
    return blake2b(document, digest_size=16).digest()


# Short names, because the hash of every delivery holds them.
DELIVERY_FIELDS: Final = (
    *("ten", "evt", "type", "sub", "chan", "st", "why", "n", "base", "spare", "tok", "cp", "due", "at", "upd"),
)
"""What `delivery_from` takes of a delivery's hash, in this order."""
CLAIM_FIELDS: Final = (*DELIVERY_FIELDS, "by")
"""What `lua/lib/claims.lua` hands out of it."""


def event_from(packed: bytes, cancelled: bytes | None) -> Event:
    """The event of what was packed and of `cancelled` in its state. Raises `READ_ERRORS`."""
    cancelled_at = None if cancelled is None else instant(int(cancelled))
    return events.restored(*astuple(unpack_event(packed)), cancelled_at=cancelled_at)


def match_from(packed: bytes) -> Match:
    return Match(tuple((id_, channel) for id_, channel in unpack(packed)))


def delivery_from(id_: str, row: Sequence[bytes | None]) -> Delivery:
    """The delivery whose hash holds `row`, as `DELIVERY_FIELDS`. Raises `READ_ERRORS`."""
    tenant, event, type_, lane, channel, status, reason, *progress, due, created, updated = row
    attempts, base, spared, token, kept = progress
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
        steps_spared=float(spared or 0),
        token=int(token or 0),
        checkpoint=None if kept is None else kept.decode(),
        next_attempt_at=None if due is None else instant(int(due)),
        created_at=instant(int(created or 0)),
        updated_at=instant(int(updated or 0)),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def attempt_from(number: int, packed: bytes) -> Attempt:
    """Raises `READ_ERRORS`."""
    return attempts.restored(*unpack(packed), number=number)


def entry_from(packed: bytes) -> FeedEntry:
    """Raises `READ_ERRORS`."""
    return feed_entries.restored(*unpack(packed))


def fields(reply: Sequence[Any]) -> dict[str, Any]:
    """A reply of names and values in turn, such as that of HGETALL, by name."""
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
