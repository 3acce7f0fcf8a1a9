"""Events with their deliveries as documents: made of what Redis holds, and as `lua/put_events.lua` takes them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hub.models import Cause, Outcome
from hub.stores.base import Match
from hub.stores.documents import DeliveryDocument, EventDocument
from hub.stores.milliseconds import instant
from hub.stores.redis.keyspace.codec import (
    as_str_bytes,
    document_digest,
    pack,
    unpack_attempt,
    unpack_event,
)
from hub.stores.stored import StoredAttempt, StoredEvent, events
from hub.stores.unreadable import READ_ERRORS, placeholder

DAMAGED: Final = "the stored event was lost or damaged in the store from which it was moved"
DAMAGED_ATTEMPT: Final = "the record of this attempt could not be read in the store from which it was moved"
_OPEN: Final = ("pending", "sending")

Parts = Mapping[str, bytes]
"""The values of a hash, by field."""


def event_from_parts(
    id_: str,
    tenant: str,
    body: bytes | None,
    state: Parts,
    deliveries: Sequence[DeliveryDocument],
    match: Match | None = None,
) -> EventDocument:
    """An event with these deliveries and whom it fans out to.

    An event that was lost or damaged comes without its data, and its unfinished deliveries are ended: they could not be
    sent from the new store either.
    """
    event = _readable(body, state.get("sum"))
    if event is None:
        at = instant(int(state.get("at", 0)))
        lost = placeholder(id_, tenant, state.get("type", b"").decode(), at)
        return EventDocument(events.stored(lost), deliveries=[_ended(delivery) for delivery in deliveries])
    return EventDocument(
        event,
        cancelled_at=int(state["cancelled"]) if "cancelled" in state else None,
        fan_out_after=state["fan"].decode() if "fan" in state else None,
        deliveries=list(deliveries),
        match=None if match is None else match.recipients,
    )


def _readable(body: bytes | None, digest: bytes | None) -> StoredEvent | None:
    if body is None or document_digest(body) != digest:
        return None
    try:
        return unpack_event(body)
    except READ_ERRORS:
        return None


def _attempt(packed: bytes, at: int) -> StoredAttempt:
    """An attempt that cannot be read stays in its place, so that the others keep their numbers."""
    try:
        return unpack_attempt(packed)
    except READ_ERRORS:
        return StoredAttempt(Cause.AUTOMATIC, at, None, Outcome.UNKNOWN, None, DAMAGED_ATTEMPT, None)


def _ended(delivery: DeliveryDocument) -> DeliveryDocument:
    if delivery.status in _OPEN:
        delivery.status, delivery.reason, delivery.due_at = "dead", DAMAGED, None
    return delivery


def delivery_from_parts(id_: str, parts: Parts, long: Parts) -> DeliveryDocument:
    """A delivery of its hash, and of the hash of its long attempts."""
    packed = {int(name): value for name, value in {**parts, **long}.items() if name.isdigit()}
    return DeliveryDocument(
        id=id_,
        subscription_id=parts["sub"].decode(),
        channel=parts["chan"].decode(),
        status=parts["st"].decode(),
        created_at=int(parts["at"]),
        updated_at=int(parts["upd"]),
        reason=parts["why"].decode() if "why" in parts else None,
        attempt_count=int(parts.get("n", 0)),
        schedule_base=int(parts.get("base", 0)),
        token=int(parts.get("tok", 0)),
        cause=parts.get("by", b"automatic").decode(),
        due_at=int(parts["due"]) if "due" in parts else None,
        checkpoint=parts["cp"].decode() if "cp" in parts else None,
        steps_spared=float(parts.get("spare", 0)),
        attempts={number: _attempt(packed[number], int(parts["upd"])) for number in sorted(packed)},
    )


def event_row(document: EventDocument) -> tuple[Any, ...]:
    """An event as the script takes it."""
    event = document.event
    body = None if document.goes_on else pack(event)
    return (
        event.id,
        event.tenant,
        event.type,
        event.subject,
        event.source,
        event.source_id,
        event.accepted_at,
        as_str_bytes(body) if body else None,
        as_str_bytes(document_digest(body)) if body else None,
        document.fan_out_after,
        document.cancelled_at,
        [_delivery_row(delivery) for delivery in document.deliveries],
        None if document.match is None else as_str_bytes(pack(document.match)),
        event.expires_at,
    )


def _delivery_row(delivery: DeliveryDocument) -> tuple[Any, ...]:
    return (
        delivery.id,
        delivery.subscription_id,
        delivery.channel,
        delivery.status,
        delivery.reason,
        delivery.attempt_count,
        delivery.schedule_base,
        delivery.token,
        delivery.cause,
        delivery.due_at,
        delivery.created_at,
        delivery.updated_at,
        [part for number, attempt in delivery.attempts.items() for part in (number, as_str_bytes(pack(attempt)))],
        delivery.checkpoint,
        delivery.steps_spared,
    )
