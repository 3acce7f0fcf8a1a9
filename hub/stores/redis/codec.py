"""Events, deliveries, attempts and feed entries as they lie in Redis; `lua/indexes.lua` says where.

What a script unpacks may hold no `bytes`: the server's MessagePack is older than that type. JSON is packed as text;
what else travels inside something packed is as_str_bytes, or goes to the script as an argument of its own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from hub.models import Attempt, Delivery, Event, FeedEntry, Status
from hub.stores.milliseconds import instant
from hub.stores.stored import StoredAttempt, StoredEvent, StoredFeedEntry, attempts, events, feed_entries

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder().decode
unpack_event: Final = msgspec.msgpack.Decoder(StoredEvent).decode
unpack_attempt: Final = msgspec.msgpack.Decoder(StoredAttempt).decode
unpack_entry: Final = msgspec.msgpack.Decoder(StoredFeedEntry).decode


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


def packed_event(event: Event) -> bytes:
    """All of an event that never changes, as a `StoredEvent`."""
    return pack(events.values(event))


def event_from(packed: bytes, cancelled: bytes | None) -> Event:
    """The event of what was packed and of `cancelled` in its state. Raises `ValueError` when it is damaged."""
    return events.restored(unpack_event(packed), cancelled_at=None if cancelled is None else instant(int(cancelled)))


def lost_event(id_: str, tenant: str, type_: str, at: datetime) -> Event:
    """What stands in for an event whose stored form is gone or damaged."""
    return Event(id=id_, tenant=tenant, type=type_, source="", time=at, data=b"null", accepted_at=at)


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
    return pack(attempts.values(attempt))


def attempt_from(number: int, packed: bytes) -> Attempt:
    return attempts.restored(unpack_attempt(packed), number=number)


def packed_entry(entry: FeedEntry) -> bytes:
    return pack(feed_entries.values(entry))


def entry_from(packed: bytes) -> FeedEntry:
    return feed_entries.restored(unpack_entry(packed))


def fields(reply: Sequence[Any]) -> dict[str, Any]:
    """A reply of names and values in turn, such as HGETALL's, by name."""
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
