"""Sending a sample to a subscription: one attempt at once, marked as a test, of which nothing is stored."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channels.base import Receipt, TargetModel
from hub.catalogue.sealing import reveal_model
from hub.catalogue.subscriptions import Subscription
from hub.clock import Clock
from hub.dispatch.sender import Sender
from hub.dispatch.transitions import ERROR_CHARS, RESPONSE_BODY_CHARS
from hub.errors import Fault, Invalid
from hub.ids import new_id
from hub.models import Delivery, Event, Outcome, Status
from hub.rendering.targets import has_template, recipient_fields, shown_name
from hub.validation import pydantic_faults

Recipient = Annotated[str, Field(min_length=1, max_length=1_000)]


class SendTestRequest(BaseModel):
    """What to send as a test, and to whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: str | None = Field(
        default=None, examples=["order.created"], description="By default the first that the patterns match."
    )
    data: Any = Field(default=None, description="By default the example of the type.")
    to: Recipient | list[Recipient] | None = Field(
        default=None,
        examples=["me@example.com"],
        description="Who gets the test, instead of everybody whom the target names; for channels with recipients.",
    )
    to_customer: bool = Field(
        default=False, strict=True, description="Send it to the recipients that the target takes from the data."
    )


def addressed(subscription: Subscription, request: SendTestRequest) -> Subscription:
    """The subscription with the target to which a test is to be sent.

    Raises `Invalid` when its recipients come from the data and the request asks for neither others nor them.
    """
    target = subscription.target
    fields = recipient_fields(type(target))
    if request.to is not None:
        return replace(subscription, target=_readdressed(target, fields, request.to))
    if not request.to_customer and any(has_template(getattr(target, field)) for field in fields):
        fault = Fault("is required, or `to_customer`: the recipients of this target come from the data", "/to")
        raise Invalid("A test is not sent to a customer unless that is asked for.", errors=[fault])
    return subscription


def _readdressed(target: TargetModel, fields: tuple[str, ...], to: str | list[str]) -> TargetModel:
    """The target with these recipients in its first field of recipients, and nobody in the others."""
    if not fields:
        raise Invalid("The test cannot be sent.", errors=[Fault("is for channels with recipients only", "/to")])
    if has_template(to):
        raise Invalid("The test cannot be sent.", errors=[Fault("must not be a template", "/to")])
    first, *others = (shown_name(type(target), field) for field in fields)
    document = {name: value for name, value in reveal_model(target).items() if name not in others}
    several = isinstance(document[first], list)
    recipients = [to] if several and isinstance(to, str) else to
    try:
        return type(target).model_validate({**document, first: recipients})
    except ValidationError as error:
        faults = [Fault(fault.detail, "/to") for fault in pydantic_faults(error)]
        raise Invalid("The test cannot be sent.", errors=faults) from None


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
    """Send the sample as any attempt is sent, with the same guards and bounds, marked as a test; `seconds` is the time
    limit."""
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
    attempted = await sender.send(sample, delivery, subscription, at=started_at, seconds=seconds, test=True)
    error = None if isinstance(attempted, Receipt) else attempted.detail[:ERROR_CHARS]
    return SendTestResult(
        outcome=Outcome.SUCCEEDED if error is None else Outcome.FAILED,
        status_code=attempted.status_code,
        error=error,
        response_body=attempted.response_body[:RESPONSE_BODY_CHARS] if attempted.response_body else None,
        started_at=started_at,
        duration_ms=round((clock.monotonic() - started) * 1000),
    )
