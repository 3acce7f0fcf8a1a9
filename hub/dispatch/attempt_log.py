"""What the operator sees of an attempt: one wide line in the log, and the metrics."""

import structlog

from hub.models import Delivery
from hub.stores.base import Result
from hub.telemetry.metrics import Metrics

# A name of its own, by which these lines can be told from all others in the log.
_log = structlog.get_logger("hub.attempt")


def report_attempt(result: Result, metrics: Metrics, seconds: float | None) -> None:
    """Log and count an attempt that took `seconds`; None when its duration is not known."""
    delivery, attempt = result.delivery, result.attempt
    if attempt is None:
        return
    metrics.attempted(delivery.channel, attempt.outcome, seconds)
    _log.info(
        "delivery.attempted",
        **_ids(delivery),
        number=attempt.number,
        cause=attempt.cause,
        outcome=attempt.outcome,
        status_code=attempt.status_code,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
        status=delivery.status,
        next_attempt_at=delivery.next_attempt_at,
    )


def report_dead(delivery: Delivery) -> None:
    """Warn that a delivery has become a dead letter, which nothing but a replay will send."""
    _log.warning(
        "delivery.dead",
        **_ids(delivery),
        attempt_count=delivery.attempt_count,
        reason=delivery.reason,
    )


def _ids(delivery: Delivery) -> dict[str, str]:
    """What both lines name their delivery by."""
    return {
        "tenant": delivery.tenant,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "delivery_id": delivery.id,
        "subscription_id": delivery.subscription_id,
        "channel": delivery.channel,
    }
