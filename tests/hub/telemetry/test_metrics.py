"""Each hub counts for itself, with bounded labels, in a form that Prometheus reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.models import Outcome, Status
from hub.telemetry.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample, named as in the exposition."""
    text = metrics.render()[0].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_publishing_is_counted_and_timed() -> None:
    metrics = Metrics()
    metrics.published(accepted=3, duplicates=1, rejected=2, seconds=0.004)
    metrics.published(accepted=1, duplicates=0, rejected=0, seconds=0.2)
    found = samples(metrics)
    assert found["hub_events_total{status=accepted}"] == 4
    assert found["hub_events_total{status=duplicate}"] == 1
    assert found["hub_events_total{status=rejected}"] == 2
    assert found["hub_accept_duration_seconds_count{}"] == 2
    assert found["hub_accept_duration_seconds_bucket{le=0.005}"] == 1


def test_attempts_and_deliveries_are_counted_by_channel() -> None:
    metrics = Metrics()
    metrics.attempted("webhook", Outcome.SUCCEEDED, 0.02)
    metrics.attempted("webhook", Outcome.FAILED, 1.0)
    metrics.attempted("email", Outcome.UNKNOWN, None)
    metrics.ended("webhook", Status.DELIVERED)
    metrics.ended("webhook", Status.DELIVERED)
    metrics.ended("email", Status.DEAD)
    found = samples(metrics)
    assert found["hub_attempts_total{channel=webhook,outcome=succeeded}"] == 1
    assert found["hub_attempts_total{channel=webhook,outcome=failed}"] == 1
    assert found["hub_attempts_total{channel=email,outcome=unknown}"] == 1
    assert found["hub_attempt_duration_seconds_count{channel=webhook}"] == 2
    assert "hub_attempt_duration_seconds_count{channel=email}" not in found
    assert found["hub_deliveries_total{channel=webhook,status=delivered}"] == 2
    assert found["hub_deliveries_total{channel=email,status=dead}"] == 1


def test_the_series_of_a_channel_begin_at_0() -> None:
    """Prometheus sees no increase in a series that appears with its first failure."""
    found = samples(Metrics({"webhook"}))
    assert found["hub_deliveries_total{channel=webhook,status=dead}"] == 0
    assert found["hub_attempts_total{channel=webhook,outcome=failed}"] == 0


def test_what_counts_by_itself_is_shown_as_a_counter() -> None:
    metrics = Metrics()
    metrics.watch_total("overflows", "Listeners that fell behind.", lambda: 7)
    assert samples(metrics)["hub_overflows_total{}"] == 7
    assert b"# TYPE hub_overflows_total counter" in metrics.render()[0]


def test_gauges_are_read_when_they_are_asked_for() -> None:
    metrics = Metrics()
    listeners = 1
    metrics.watch("listeners", "Live connections.", lambda: listeners)
    assert samples(metrics)["hub_listeners{}"] == 1
    listeners = 5
    assert samples(metrics)["hub_listeners{}"] == 5


def test_two_hubs_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.ended("webhook", Status.DEAD)
    assert "hub_deliveries_total{channel=webhook,status=dead}" not in samples(other)


def test_the_process_is_measured_too() -> None:
    assert samples(Metrics())["process_resident_memory_bytes{}"] > 0


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain; version=nonsense", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=..", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_the_format_follows_the_accept_header_whatever_it_holds(accept: str, content_type: str) -> None:
    body, given = Metrics().render(accept)
    assert given.startswith(content_type)
    assert body.endswith(b"# EOF\n") == ("openmetrics" in given)
