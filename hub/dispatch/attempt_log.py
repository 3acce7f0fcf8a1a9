"""What the operator sees of an attempt: one wide line in the log, and the numbers."""

import structlog

from hub.models import Status
from hub.stores.base import Result
from hub.telemetry.metrics import Metrics

_log = structlog.get_logger("hub.attempt")


def report(result: Result, metrics: Metrics, seconds: float | None) -> None:
    """An attempt ended after so many seconds; None when nobody knows how long it took."""
    delivery, attempt = result.delivery, result.attempt
    if attempt is None:
        return
    metrics.attempted(delivery.channel, attempt.outcome, seconds)
    if delivery.status is not Status.PENDING:
        metrics.ended(delivery.channel, delivery.status)
    _log.info(
        "attempt",
        tenant=delivery.tenant,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        delivery_id=delivery.id,
        subscription_id=delivery.subscription_id,
        channel=delivery.channel,
        number=attempt.number,
        cause=attempt.cause,
        outcome=attempt.outcome,
        status_code=attempt.status_code,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
        status=delivery.status,
        next_attempt_at=delivery.next_attempt_at and delivery.next_attempt_at.isoformat(),
    )
