"""Sending a sample to a subscription: one attempt at once, of which nothing is stored."""

from datetime import datetime

from pydantic import BaseModel

from channels.base import Receipt
from hub.catalogue.subscriptions import Subscription
from hub.clock import Clock
from hub.dispatch.sender import Sender
from hub.dispatch.transitions import ERROR_CHARS, RESPONSE_BODY_CHARS
from hub.ids import new_id
from hub.models import Delivery, Event, Outcome, Status


class SendTestResult(BaseModel):
    """How the target answered the sample."""

    outcome: Outcome
    status_code: int | None = None
    error: str | None = None
    response_body: str | None = None
    started_at: datetime
    duration_ms: int


async def send_test(
    sender: Sender, sample: Event, subscription: Subscription, clock: Clock, seconds: float
) -> SendTestResult:
    """Send the sample as any attempt is sent, with the same guards and bounds; `seconds` is the time limit."""
    started_at, started = clock.now(), clock.monotonic()
    # No store ever has this delivery. It gives the message its ids, and the sender the attempt to trace.
    delivery = Delivery(
        id=new_id("dlv"),
        tenant=subscription.tenant,
        event_id=sample.id,
        event_type=sample.type,
        subscription_id=subscription.id,
        channel=subscription.spec.channel,
        status=Status.SENDING,
        attempt_count=1,
        created_at=started_at,
        updated_at=started_at,
    )
    attempted = await sender.send(sample, delivery, subscription, at=started_at, seconds=seconds)
    error = None if isinstance(attempted, Receipt) else attempted.detail[:ERROR_CHARS]
    return SendTestResult(
        outcome=Outcome.SUCCEEDED if error is None else Outcome.FAILED,
        status_code=attempted.status_code,
        error=error,
        response_body=attempted.response_body[:RESPONSE_BODY_CHARS] if attempted.response_body else None,
        started_at=started_at,
        duration_ms=round((clock.monotonic() - started) * 1000),
    )
