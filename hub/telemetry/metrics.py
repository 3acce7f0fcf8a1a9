"""What the hub counts, for Prometheus. Each process has a registry of its own."""

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from hub.models import Outcome, Status

_OPEN_METRICS = "application/openmetrics-text"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters and histograms that the work updates, and gauges that are read when the metrics are rendered.

    Label values come from code alone (channels, outcomes, statuses), so the number of series is bounded.

    Example:

        metrics = Metrics()
        metrics.watch("attempts_in_flight", "Attempts under way.", lambda: 3)
        b"hub_attempts_in_flight 3.0" in metrics.render()[0]  # True
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        events = Counter("hub_events", "Published events, by result.", ["status"], registry=registry)
        self._accepted = events.labels("accepted")
        self._duplicates = events.labels("duplicate")
        self._rejected = events.labels("rejected")
        self._accept_seconds = Histogram(
            "hub_accept_duration_seconds",
            "Time a request to publish waited for its commit.",
            buckets=_SECONDS,
            registry=registry,
        )
        attempts = Counter("hub_attempts", "Attempts, by outcome.", ["channel", "outcome"], registry=registry)
        attempt_seconds = Histogram(
            "hub_attempt_duration_seconds", "Time an attempt took.", ["channel"], buckets=_SECONDS, registry=registry
        )
        deliveries = Counter(
            "hub_deliveries", "Deliveries that ended, by how.", ["channel", "status"], registry=registry
        )
        # Looking up a child in the library takes longer than counting does.
        self._attempts = cache(attempts.labels)
        self._attempt_seconds = cache(attempt_seconds.labels)
        self._deliveries = cache(deliveries.labels)
        ProcessCollector(registry=registry)

    def published(self, *, accepted: int, duplicates: int, rejected: int, seconds: float) -> None:
        """One request to publish was answered after waiting `seconds` for its commit."""
        self._accept_seconds.observe(seconds)
        if accepted:
            self._accepted.inc(accepted)
        if duplicates:
            self._duplicates.inc(duplicates)
        if rejected:
            self._rejected.inc(rejected)

    def attempted(self, channel: str, outcome: Outcome, seconds: float | None) -> None:
        """An attempt ended after `seconds`; None when its duration is unknown."""
        self._attempts(channel, outcome).inc()
        if seconds is not None:
            self._attempt_seconds(channel).observe(seconds)

    def ended(self, channel: str, status: Status) -> None:
        """A delivery came to a final status."""
        self._deliveries(channel, status).inc()

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a gauge `hub_<name>` whose value is read when the metrics are rendered. Each name once."""
        Gauge(f"hub_{name}", description, registry=self._registry).set_function(read)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: Prometheus text, or OpenMetrics where `Accept` asks for it."""
        # The library fails on versions and parameters that it cannot read, so it is given only which of the two it is.
        encode, content_type = choose_encoder(_OPEN_METRICS if _OPEN_METRICS in accept else "")
        return encode(self._registry), content_type
