"""Events with their deliveries as documents, from what lies in Redis, and as what `lua/put_events.lua` takes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hub.models import Attempt, Cause, Event, Outcome
from hub.stores.documents import AttemptDocument, DeliveryDocument, EventDocument
from hub.stores.milliseconds import instant, instant_or_none, milliseconds, milliseconds_or_none
from hub.stores.redis.codec import as_str_bytes, attempt_from, event_document, event_from, packed_attempt
from hub.stores.redis.intake import document_digest

DAMAGED: Final = "the stored event was lost or damaged in the store from which it was moved"
_OPEN: Final = ("pending", "sending")

Parts = Mapping[str, bytes]
"""A hash, by field."""


def event_from_parts(
    id_: str, tenant: str, body: bytes | None, state: Parts, deliveries: Sequence[DeliveryDocument]
) -> EventDocument:
    """An event without its data and, where that is not what was accepted, with the end of what waited for it."""
    if body is None or document_digest(body) != state.get("sum"):
        accepted = int(state.get("at", 0))
        document = EventDocument(id_, tenant, state.get("type", b"").decode(), "", accepted, accepted, "null")
        document.deliveries = [_ended(delivery) for delivery in deliveries]
    else:
        document = _event(event_from(body, state.get("cancelled")))
        document.deliveries = list(deliveries)
        document.fan_out_after = state["fan"].decode() if "fan" in state else None
    return document


def _event(event: Event) -> EventDocument:
    return EventDocument(
        id=event.id,
        tenant=event.tenant,
        type=event.type,
        source=event.source,
        time=milliseconds(event.time),
        accepted_at=milliseconds(event.accepted_at),
        data=event.data.decode(),
        source_id=event.source_id,
        subject=event.subject,
        content_type=event.content_type,
        data_base64=event.data_base64,
        extensions=event.extensions,
        ordering_key=event.ordering_key,
        deliver_at=milliseconds_or_none(event.deliver_at),
        expires_at=milliseconds_or_none(event.expires_at),
        traceparent=event.traceparent,
        cancelled_at=milliseconds_or_none(event.cancelled_at),
    )


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
        attempts=[_attempt(attempt_from(number, packed[number])) for number in sorted(packed)],
    )


def _attempt(attempt: Attempt) -> AttemptDocument:
    return AttemptDocument(
        number=attempt.number,
        cause=attempt.cause,
        started_at=milliseconds(attempt.started_at),
        outcome=attempt.outcome,
        duration_ms=attempt.duration_ms,
        status_code=attempt.status_code,
        error=attempt.error,
        response_body=attempt.response_body,
    )


def event_row(document: EventDocument) -> tuple[Any, ...]:
    """An event as the script takes it."""
    body = None if document.goes_on else event_document(_model(document))
    return (
        document.id,
        document.tenant,
        document.type,
        document.subject,
        document.source,
        document.source_id,
        document.accepted_at,
        as_str_bytes(body) if body else None,
        as_str_bytes(document_digest(body)) if body else None,
        document.fan_out_after,
        document.cancelled_at,
        [_delivery_row(delivery) for delivery in document.deliveries],
    )


def _model(document: EventDocument) -> Event:
    return Event(
        id=document.id,
        tenant=document.tenant,
        type=document.type,
        source=document.source,
        source_id=document.source_id,
        subject=document.subject,
        time=instant(document.time),
        data=document.data.encode(),
        content_type=document.content_type,
        data_base64=document.data_base64,
        extensions=document.extensions,
        ordering_key=document.ordering_key,
        deliver_at=instant_or_none(document.deliver_at),
        expires_at=instant_or_none(document.expires_at),
        traceparent=document.traceparent,
        accepted_at=instant(document.accepted_at),
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
        [part for attempt in delivery.attempts for part in (attempt.number, as_str_bytes(_packed(attempt)))],
    )


def _packed(attempt: AttemptDocument) -> bytes:
    return packed_attempt(
        Attempt(
            number=attempt.number,
            cause=Cause(attempt.cause),
            started_at=instant(attempt.started_at),
            duration_ms=attempt.duration_ms,
            outcome=Outcome(attempt.outcome),
            status_code=attempt.status_code,
            error=attempt.error,
            response_body=attempt.response_body,
        )
    )
