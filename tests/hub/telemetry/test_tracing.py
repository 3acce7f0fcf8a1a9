"""One trace joins the request that published and every attempt, and without a collector nothing is paid for it."""

import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from hub.models import Delivery, Status
from hub.telemetry import tracing as module
from hub.telemetry.tracing import Tracing, _is_untraced, current_traceparent
from hub.testing.clock import START
from hub.testing.patience import patience
from hub.testing.receivers import Receiver, Reply

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DELIVERY = Delivery(
    id="dlv_1",
    tenant="acme",
    event_id="evt_1",
    event_type="order.created",
    subscription_id="sub_1",
    channel="webhook",
    status=Status.SENDING,
    attempt_count=2,
    created_at=START,
    updated_at=START,
)


@asynccontextmanager
async def traced() -> AsyncIterator[tuple[Tracing, list[Span]]]:
    """Tracing to a real collector's end, and the spans it got once the context is left."""
    spans: list[Span] = []
    async with Receiver() as collector:
        tracing = Tracing(collector.url + "/")
        yield tracing, spans
        await tracing.aclose()
        for request in collector.requests:
            assert request.path == "/v1/traces"
            export = ExportTraceServiceRequest.FromString(request.body)
            for resource in export.resource_spans:
                names = {item.key: item.value.string_value for item in resource.resource.attributes}
                assert names["service.name"] == "notification-hub"
                spans += [span for scope in resource.scope_spans for span in scope.spans]


def attributes(span: Span) -> dict[str, str | int]:
    return {
        item.key: item.value.string_value or item.value.int_value
        for item in span.attributes
        if item.key.startswith(("hub.", "error."))
    }


async def publish(tracing: Tracing, path: str = "/v1/events", header: str | None = PARENT) -> str | None:
    """The trace parent that a route of an app sees."""
    app = FastAPI(telemetry=tracing.telemetry)

    @app.get("/{path:path}")
    async def route(request: Request) -> str | None:
        return current_traceparent(request.headers.get("traceparent"))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub") as client:
        answer = await client.get(path, headers={"traceparent": header} if header else {})
    seen: str | None = answer.json()
    return seen


async def test_a_request_and_its_attempts_are_one_trace() -> None:
    async with traced() as (tracing, spans):
        published = await publish(tracing)
        assert published is not None
        with tracing.attempt(DELIVERY, published):
            sent = current_traceparent(published)
    request, attempt = sorted(spans, key=lambda span: span.kind)
    assert request.name.startswith("GET")
    assert request.trace_id.hex() == PARENT.split("-")[1]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    assert published == f"00-{request.trace_id.hex()}-{request.span_id.hex()}-01"
    assert attempt.parent_span_id == request.span_id
    assert sent == f"00-{attempt.trace_id.hex()}-{attempt.span_id.hex()}-01"
    assert (attempt.name, attempt.kind) == ("send webhook", Span.SPAN_KIND_CLIENT)
    assert attributes(attempt) == {
        "hub.event.id": "evt_1",
        "hub.event.type": "order.created",
        "hub.delivery.id": "dlv_1",
        "hub.subscription.id": "sub_1",
        "hub.attempt.number": 2,
    }


async def test_a_failed_attempt_is_marked_without_the_text_of_its_error() -> None:
    async with traced() as (tracing, spans):
        with pytest.raises(ValueError, match="secret"), tracing.attempt(DELIVERY, None):
            raise ValueError("https://secret.example.com")
    (span,) = spans
    assert attributes(span)["error.type"] == "ValueError"
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert b"secret" not in span.SerializeToString()
    assert span.parent_span_id == b""


async def test_a_malformed_parent_starts_a_new_trace() -> None:
    async with traced() as (tracing, spans):
        with tracing.attempt(DELIVERY, "00-zz"):
            pass
    assert spans[0].parent_span_id == b""


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/v1/stream?ticket=secret"])
async def test_probes_and_streams_are_not_traced(path: str) -> None:
    async with traced() as (tracing, spans):
        await publish(tracing, path)
    assert spans == []


@pytest.mark.parametrize("path", ["/v1/streams?ticket=canary", "/v1/events?q=canary%40example.com"])
async def test_no_span_has_a_query_string(path: str) -> None:
    """It may hold a ticket, or what somebody searched for."""
    async with traced() as (tracing, spans):
        await publish(tracing, path)
    (span,) = spans
    assert b"url.path" in span.SerializeToString()
    assert b"canary" not in span.SerializeToString()


def test_nor_are_those_under_a_prefix_that_the_proxy_keeps() -> None:
    assert _is_untraced({"path": "/hub/v1/stream", "root_path": "/hub"})
    assert _is_untraced({"path": "/v1/stream", "root_path": "/hub"})
    assert not _is_untraced({"path": "/hub/v1/events", "root_path": "/hub"})


async def test_without_a_collector_there_are_no_spans_and_the_header_goes_through() -> None:
    tracing = Tracing("")
    assert await publish(tracing) == PARENT
    assert await publish(tracing, header=None) is None
    with tracing.attempt(DELIVERY, PARENT):
        assert not trace.get_current_span().get_span_context().is_valid
        assert current_traceparent(PARENT) == PARENT
    await tracing.aclose()


@pytest.mark.parametrize(
    "incoming",
    [
        "",
        "nonsense",
        PARENT + "-extra",
        PARENT + "\r\nx: y",
        PARENT.upper(),
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_an_invalid_header_is_not_carried_on(incoming: str) -> None:
    assert current_traceparent(incoming) is None


async def test_two_hubs_in_one_process_trace_apart() -> None:
    async with traced() as (_, unused), traced() as (tracing, used):
        with tracing.attempt(DELIVERY, None):
            pass
    assert (len(unused), len(used)) == (0, 1)


async def test_a_collector_that_hangs_delays_the_stop_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.1)
    monkeypatch.setattr(module, "EXPORT_SECONDS", 0.5)
    async with Receiver([Reply(200, delay=3_600)] * 10) as collector:
        tracing = Tracing(collector.url)
        with tracing.attempt(DELIVERY, None):
            pass
        async with patience():
            await tracing.aclose()
        assert not any(thread.name.startswith("OtelBatch") for thread in threading.enumerate())


async def test_a_collector_that_is_away_ends_the_stop_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.1)
    monkeypatch.setattr(module, "EXPORT_SECONDS", 3_600.0)
    async with Receiver() as gone:
        pass
    tracing = Tracing(gone.url)
    with tracing.attempt(DELIVERY, None):
        pass
    async with patience():  # without an end to its retries it would take an hour
        await tracing.aclose()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(RuntimeError, match=r"pip install 'notification-hub\[otel\]'"):
        Tracing("http://127.0.0.1:4318")
