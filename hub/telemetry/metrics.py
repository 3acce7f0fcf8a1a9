"""What the hub counts, for Prometheus. Each process has a registry of its own."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from importlib.metadata import version
from platform import python_version
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hub.models import Outcome, Status

# When each series began would double their number, and nothing here restarts a series but the process itself.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library left it without types

_OPEN_METRICS = "application/openmetrics-text"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WAITING = {
    "pending": "Deliveries that wait for an attempt, of the whole hub.",
    "held": "Deliveries that are held, of the whole hub.",
    "dead": "Deliveries that are dead and kept, of the whole hub.",
    "oldest_pending_seconds": "Age of the oldest pending delivery, of the whole hub.",
}


class Waiting(NamedTuple):
    """The deliveries of a channel that are not delivered, over all tenants."""

    pending: int
    held: int
    dead: int
    oldest_pending_seconds: float
    """The age of the oldest that is pending; 0 without one."""


class Metrics:
    """Counters and histograms that the work updates, and gauges that are read when the metrics are rendered.

    The series of `channels` are there from the start.

    Label values come from code alone (channels, outcomes, statuses, routes), so the number of series is bounded.

    Example:

        metrics = Metrics()
        metrics.watch("attempts_in_flight", "Attempts under way.", lambda: 3)
        b"hub_attempts_in_flight 3.0" in metrics.render()[0]  # True
    """

    def __init__(self, channels: Iterable[str] = ()) -> None:
        registry = self._registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, buckets=_SECONDS, registry=registry)
        events = counter("hub_events", "Published events, by result.", ["status"])
        self._accepted, self._duplicates = events.labels("accepted"), events.labels("duplicate")
        self._rejected = events.labels("rejected")
        self._accept_seconds = histogram(
            "hub_accept_duration_seconds", "Time a request to publish waited for its commit."
        )
        self._lag = histogram("hub_event_loop_lag_seconds", "How late the event loop came to what was due.")
        # Looking up a child in the library takes longer than counting does.
        self._attempts = cache(counter("hub_attempts", "Attempts, by outcome.", ["channel", "outcome"]).labels)
        self._attempt_seconds = cache(
            histogram("hub_attempt_duration_seconds", "Time an attempt took.", ["channel"]).labels
        )
        self._deliveries = cache(counter("hub_deliveries", "Deliveries that ended.", ["channel", "status"]).labels)
        self._requests = cache(counter("hub_http_requests", "Answered requests.", ["method", "route", "status"]).labels)
        self._runs = counter("hub_schedule_runs", "Runs of schedules.", ["schedule", "outcome"])
        self._succeeded_at = gauge(
            "hub_schedule_last_success_timestamp_seconds", "When a schedule last succeeded here.", ["schedule"]
        )
        self._waiting = {name: gauge(f"hub_deliveries_{name}", text, ["channel"]) for name, text in _WAITING.items()}
        build = {"version": version("notification-hub"), "python": python_version()}
        Info("hub_build", "What this process runs.", registry=registry).info(build)
        ProcessCollector(registry=registry)
        for channel in channels:
            self._begin(channel)

    def _begin(self, channel: str) -> None:
        # From 0: Prometheus sees no increase in a series that appears with its first failure.
        for outcome in Outcome:
            self._attempts(channel, outcome)
        for status in (Status.DELIVERED, Status.DEAD, Status.CANCELLED):
            self._deliveries(channel, status)

    def published(self, *, accepted: int, duplicates: int, rejected: int, seconds: float) -> None:
        """One request to publish was answered after waiting `seconds` for its commit."""
        self._accept_seconds.observe(seconds)
        if accepted:
            self._accepted.inc(accepted)
        if duplicates:
            self._duplicates.inc(duplicates)
        if rejected:
            self._rejected.inc(rejected)

    def lagged(self, seconds: float) -> None:
        """The event loop came to something `seconds` after it was due."""
        self._lag.observe(seconds)

    def attempted(self, channel: str, outcome: Outcome, seconds: float | None) -> None:
        """An attempt ended after `seconds`; None when its duration is unknown."""
        self._attempts(channel, outcome).inc()
        if seconds is not None:
            self._attempt_seconds(channel).observe(seconds)

    def ended(self, channel: str, status: Status) -> None:
        """A delivery came to a final status."""
        self._deliveries(channel, status).inc()

    def requested(self, method: str, route: str, status: int) -> None:
        """A request was answered. `route` is the template of its path, or empty where none matches."""
        self._requests(method if method in _METHODS else "other", route, status).inc()

    def ran(self, schedule: str, outcome: str, ended_at: float) -> None:
        """A run of a schedule ended at this time, in seconds since 1970."""
        for known in ("succeeded", "failed"):
            self._runs.labels(schedule, known)
        self._runs.labels(schedule, outcome).inc()
        if outcome == "succeeded":
            self._succeeded_at.labels(schedule).set(ended_at)

    def show_waiting(self, channels: Mapping[str, Waiting]) -> None:
        """Show the whole hub's deliveries that are not delivered, in place of those shown before; none to show none."""
        for member, gauge in self._waiting.items():
            gauge.clear()
            for channel, waiting in channels.items():
                gauge.labels(channel).set(getattr(waiting, member))

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a gauge `hub_<name>` whose value is read when the metrics are rendered. Each name once."""
        Gauge(f"hub_{name}", description, registry=self._registry).set_function(read)

    def watch_total(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a counter `hub_<name>_total`, likewise, of something that counts by itself."""
        self._registry.register(_ReadCounter(f"hub_{name}", description, read))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: Prometheus text, or OpenMetrics where `Accept` asks for it."""
        # The library fails on versions and parameters that it cannot read, so it is given only which of the two it is.
        encode, content_type = choose_encoder(_OPEN_METRICS if _OPEN_METRICS in accept else "")
        return encode(self._registry), content_type


class _ReadCounter(Collector):
    def __init__(self, name: str, description: str, read: Callable[[], float]) -> None:
        self._name, self._description, self._read = name, description, read

    def collect(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._description, value=self._read())
