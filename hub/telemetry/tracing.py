"""Spans of requests and attempts for an OpenTelemetry collector, joined into one trace by W3C Trace Context."""

import asyncio
import re
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hub.models import Delivery
from hub.telemetry.redaction import REDACTED

_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_NO_SPAN = nullcontext()
EXPORT_SECONDS = 5.0
FLUSH_SECONDS = 3.0
UNTRACED = frozenset({"/livez", "/readyz", "/metrics", "/v1/stream"})
"""Probes are noise, and a stream has no duration worth knowing."""
QUERY = "url.query"
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_context = TraceContextTextMapPropagator()


def current_traceparent(incoming: str | None) -> str | None:
    """The `traceparent` of the current span, else the incoming one if it is valid (W3C Trace Context, section 3.2)."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    return incoming if incoming and _TRACEPARENT.fullmatch(incoming) else None


class Tracing:
    """Tracing to the collector at `endpoint`; without tracing if that is empty.

    `telemetry` is the argument of the same name of `FastAPI`. The standard `OTEL_…` variables choose sampling, headers
    and resource attributes. Raises `RuntimeError` if the extra that it needs is not installed.
    """

    def __init__(self, endpoint: str) -> None:
        self.telemetry: TelemetryConfig = _OFF
        self._tracer: Tracer | None = None
        self._pipeline: _Pipeline | None = None
        if endpoint:
            self._pipeline = _Pipeline(endpoint)
            self._tracer = self._pipeline.provider.get_tracer("hub")
            self.telemetry = {**_OFF, "tracing": True, "operation_spans": False, "exclude": _is_untraced}
            self.telemetry["tracer_provider"] = self._pipeline.provider

    def attempt(self, delivery: Delivery, traceparent: str | None) -> AbstractContextManager[None]:
        """The span of one attempt, a child of the request that published the event; raising marks it failed.

        Within it `current_traceparent` gives the header to send. Without tracing there is no span.
        """
        return _NO_SPAN if self._tracer is None else _attempt(self._tracer, delivery, traceparent)

    async def aclose(self) -> None:
        """Send the spans that are left, within a few seconds."""
        if self._pipeline is not None:
            await self._pipeline.aclose()


class _Pipeline:
    """The SDK's provider and exporter; the only part that needs the extra."""

    def __init__(self, endpoint: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import Span, TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as missing:
            raise RuntimeError(
                "HUB_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: pip install 'notification-hub[otel]'"
            ) from missing

        class WithoutQueries(BatchSpanProcessor):
            def on_start(self, span: Span, parent_context: Context | None = None) -> None:
                # It may hold a stream ticket, or what somebody searched for.
                if QUERY in (span.attributes or ()):
                    span.set_attribute(QUERY, REDACTED)
                super().on_start(span, parent_context)

        self._exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
        resource = Resource.create()
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "notification-hub"}))
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(WithoutQueries(self._exporter))

    async def aclose(self) -> None:
        flush = asyncio.create_task(asyncio.to_thread(self.provider.shutdown))
        # A collector that does not answer must not hold up the end of the process.
        done, _ = await asyncio.wait({flush}, timeout=FLUSH_SECONDS)
        if not done:
            # Ends the retries that the flush waits for.
            await asyncio.to_thread(self._exporter.shutdown)
        await flush


@contextmanager
def _attempt(tracer: Tracer, delivery: Delivery, traceparent: str | None) -> Iterator[None]:
    with tracer.start_as_current_span(
        f"send {delivery.channel}",
        context=_context.extract({"traceparent": traceparent} if traceparent else {}),
        kind=SpanKind.CLIENT,
        attributes={
            "hub.event.id": delivery.event_id,
            "hub.event.type": delivery.event_type,
            "hub.delivery.id": delivery.id,
            "hub.subscription.id": delivery.subscription_id,
            "hub.attempt.number": delivery.attempt_count,
        },
        # The text of an exception may hold what a span must not, such as the address of a target.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


def _is_untraced(scope: MutableMapping[str, Any]) -> bool:
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", "")) in UNTRACED
