"""An attempt is one line and one count; a dead letter is a warning."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.dispatch.attempt_log import report_attempt, report_dead
from hub.models import Attempt, Cause, Delivery, Outcome, Status
from hub.stores.base import Result
from hub.telemetry.metrics import Metrics
from hub.testing.clock import START

IDS = {
    "tenant": "acme",
    "event_id": "evt_1",
    "event_type": "order.created",
    "delivery_id": "dlv_1",
    "subscription_id": "sub_1",
    "channel": "webhook",
}


def delivery(status: Status, **members: Any) -> Delivery:
    fixed = {name: value for name, value in IDS.items() if name != "delivery_id"}
    return Delivery(id="dlv_1", status=status, created_at=START, updated_at=START, **fixed, **members)


def attempt(outcome: Outcome) -> Attempt:
    return Attempt(
        number=2, cause=Cause.REPLAY, started_at=START, duration_ms=12, outcome=outcome, status_code=500, error="no",
        response_body="s3cret",
    )  # fmt: skip


def counted(metrics: Metrics) -> set[str]:
    """The series of attempts that have a value."""
    names = ("hub_attempts_total", "hub_attempt_duration_seconds_sum")
    return {line for line in metrics.render()[0].decode().splitlines() if line.startswith(names)}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(Status.DELIVERED, Outcome.SUCCEEDED), (Status.PENDING, Outcome.FAILED), (Status.DEAD, Outcome.FAILED)],
)
def test_an_attempt_is_one_line_without_what_the_target_answered(status: Status, outcome: Outcome) -> None:
    metrics, made = Metrics(), delivery(status, next_attempt_at=START if status is Status.PENDING else None)
    with capture_logs() as lines:
        report_attempt(Result(made, attempt(outcome)), metrics, 0.25)
    assert lines == [
        {
            **IDS,
            "event": "delivery.attempted",
            "log_level": "info",
            "number": 2,
            "cause": "replay",
            "outcome": outcome,
            "status_code": 500,
            "error": "no",
            "duration_ms": 12,
            "status": status,
            "next_attempt_at": made.next_attempt_at,
        }
    ]
    assert counted(metrics) == {
        f'hub_attempts_total{{channel="webhook",outcome="{outcome}"}} 1.0',
        'hub_attempt_duration_seconds_sum{channel="webhook"} 0.25',
    }


def test_an_attempt_of_unknown_duration_is_counted_and_not_timed() -> None:
    metrics = Metrics()
    report_attempt(Result(delivery(Status.PENDING), attempt(Outcome.UNKNOWN)), metrics, None)
    assert counted(metrics) == {'hub_attempts_total{channel="webhook",outcome="unknown"} 1.0'}


def test_what_was_not_attempted_is_neither_logged_nor_counted() -> None:
    metrics = Metrics()
    with capture_logs() as lines:
        report_attempt(Result(delivery(Status.CANCELLED)), metrics, None)
    assert (lines, counted(metrics)) == ([], set())


def test_a_dead_letter_is_a_warning_with_its_reason() -> None:
    with capture_logs() as lines:
        report_dead(delivery(Status.DEAD, attempt_count=8, reason="HTTP 500"))
    assert lines == [
        {**IDS, "event": "delivery.dead", "log_level": "warning", "attempt_count": 8, "reason": "HTTP 500"}
    ]
