"""Each answer has the id of its request, each request is counted, and who changed or was refused what is logged.

Requests are counted by the template of their route, so that nobody can add series at will.
"""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from hub.api import problems
from hub.api.request_log import REFUSALS_A_MINUTE, RequestLog
from hub.app import create_app
from hub.runtime import Process
from hub.telemetry.access_log import AccessLog
from hub.telemetry.log import configure
from hub.telemetry.request_context import current_request
from hub.testing.clock import ManualClock
from tests.api_support import Api, settings_for
from tests.hub.telemetry.restored import restored_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with restored_logging():
        yield


def uncounted(method: str, route: str, status: int) -> None:
    pass


async def ask(app: ASGIApp, clock: ManualClock, *, times: int = 1) -> tuple[Any, list[Any]]:
    """The last answer of `app` behind a request log, and all lines that were logged."""
    stream = io.StringIO()
    access_log = AccessLog(configure("info", "json", stream), None, clock)
    logged = RequestLog(app, access_log=access_log, clock=clock, count=uncounted)
    transport = httpx.ASGITransport(logged, raise_app_exceptions=False)
    with access_log.running():
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            answers = [await client.get("/place?ticket=s3cret", headers={"X-Request-ID": "r-1"}) for _ in range(times)]
    assert "s3cret" not in stream.getvalue()
    return answers[-1], [json.loads(line) for line in stream.getvalue().splitlines()]


def answering(status: int) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_every_answer_of_the_api_has_the_id_of_its_request_and_so_has_its_problem(api: Api) -> None:
    taken = await api.admin.get("/v1/events", headers={"X-Request-ID": "trace-7"})
    assert (taken.status_code, taken.headers["x-request-id"]) == (200, "trace-7")
    for method, path, status in [("GET", "/nothing", 404), ("PUT", "/livez", 405), ("POST", "/v1/events", 415)]:
        refused = await api.admin.request(method, path, content=b"x", headers={"content-type": "image/png"})
        assert refused.status_code == status
        assert refused.headers["x-request-id"].startswith("req_")
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
    large = await api.admin.post("/v1/events", content=b'"' + b"x" * 300_000, headers={"X-Request-ID": "large"})
    assert (large.status_code, large.headers["x-request-id"], large.json()["request_id"]) == (413, "large", "large")


@pytest.mark.parametrize("by_ticket", [False, True])
async def test_lines_of_a_request_name_it_and_its_key(api: Api, by_ticket: bool) -> None:
    ticket = (await api.admin.post("/v1/stream-tickets")).json()["ticket"]
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await api.transport.app(scope, receive, send)
        seen.append(current_request())

    clock = ManualClock()
    silent = AccessLog(configure("critical", "json"), None, clock)
    logged = RequestLog(app, access_log=silent, clock=clock, count=uncounted)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(logged), base_url="http://hub") as client:
        if by_ticket:
            # Refused once the ticket is known: a stream would have no end.
            await client.get("/v1/stream", params={"ticket": ticket, "types": "order.lost"})
        else:
            await client.get("/v1/events", headers={"Authorization": api.admin.headers["authorization"]})
    (context,) = seen
    assert context is not None
    assert context.key_id == "key_admin"


async def test_what_was_not_foreseen_is_answered_with_a_problem_and_logged_once() -> None:
    async def place() -> None:
        raise RuntimeError("surprise")

    app = FastAPI()
    problems.install(app)
    app.add_api_route("/place", place)
    answer, (failed, access) = await ask(app, ManualClock())
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "r-1")
    assert answer.json()["request_id"] == "r-1"
    assert "surprise" not in answer.text
    assert (failed["event"], failed["level"], failed["request_id"]) == ("request.failed", "error", "r-1")
    assert "surprise" in failed["exception"]
    assert (access["event"], access["status"], access["request_id"]) == ("request.completed", 500, "r-1")


async def test_the_line_has_how_long_the_request_took_and_names_no_value() -> None:
    clock = ManualClock()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clock.advance(1.5)
        await answering(204)(scope, receive, send)

    _, (line,) = await ask(app, clock)
    assert (line["status"], line["duration_ms"], line["parameters"]) == (204, 1500.0, ["ticket"])


async def test_a_request_whose_client_went_away_has_its_line_without_a_status() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    stream = io.StringIO()
    access_log = AccessLog(configure("info", "json", stream), None, ManualClock())
    logged = RequestLog(app, access_log=access_log, clock=ManualClock(), count=uncounted)
    with access_log.running(), pytest.raises(asyncio.CancelledError):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(logged), base_url="http://hub") as client:
            await client.get("/")
    assert json.loads(stream.getvalue())["status"] is None


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_keys_are_logged_a_limited_number_of_times_a_minute(status: int) -> None:
    clock = ManualClock()
    _, lines = await ask(answering(status), clock, times=REFUSALS_A_MINUTE + 5)
    events = [line["event"] for line in lines if line["event"] != "request.completed"]
    assert events == ["key.refused"] * REFUSALS_A_MINUTE + ["key.refusals_many"]
    assert (lines[0]["status"], lines[0]["level"], lines[0]["client"]) == (status, "warning", "127.0.0.1")


async def test_after_a_minute_refused_keys_are_logged_again() -> None:
    clock = ManualClock()
    refusing = answering(401)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clock.advance(61.0)
        await refusing(scope, receive, send)

    _, lines = await ask(app, clock, times=REFUSALS_A_MINUTE + 5)
    assert [line["event"] for line in lines].count("key.refused") == REFUSALS_A_MINUTE + 5


async def test_each_change_says_who_did_what_to_which_things(api: Api) -> None:
    manager = await api.holder("manage", "read", "events:write")
    with capture_logs() as lines:
        made = await api.subscribe(manager)
        await manager.post(f"/v1/subscriptions/{made['id']}/disable")
        await manager.get("/v1/subscriptions")
        await manager.post("/v1/events", json={"type": "a.b", "data": 1})
        await manager.post("/v1/stream-tickets")
        await manager.delete("/v1/subscriptions/sub_missing")
    changes = [line for line in lines if line["event"] == "action.completed"]
    assert [(line["method"], line["route"], line["ids"]) for line in changes] == [
        ("POST", "/v1/subscriptions", [made["id"]]),
        ("POST", "/v1/subscriptions/{subscription_id}/disable", [made["id"]]),
    ]


async def test_a_path_that_may_hold_anything_is_not_logged(api: Api) -> None:
    with capture_logs() as lines:
        put = await api.admin.put("/v1/event-types/stock.low", json={})
        assert put.status_code in {200, 201}, put.text
        await api.admin.delete("/v1/event-types/stock.low")
    assert [line["ids"] for line in lines if line["event"] == "action.completed"] == [["stock.low"]] * 2


async def test_a_preflight_has_its_id_its_line_and_its_count(tmp_path: Path) -> None:
    page = "https://console.example.com"
    asked = {"Origin": page, "Access-Control-Request-Method": "POST", "X-Request-ID": "r-1"}
    app = create_app(settings_for(tmp_path, cors_origins=(page,), access_log=tmp_path / "access.log"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub")
    async with client, app.router.lifespan_context(app):
        answer = await client.options("/v1/events", headers=asked)
        found = counts(app.state.process)
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "r-1")
    (line,) = map(json.loads, (tmp_path / "access.log").read_text().splitlines())
    assert (line["method"], line["status"], line["request_id"]) == ("OPTIONS", 200, "r-1")
    assert found == {("OPTIONS", "", "200"): 1}


def counts(process: Process) -> dict[tuple[str, str, str], float]:
    text = process.core.metrics.render()[0].decode()
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "hub_http_requests_total"
    }


async def test_answers_count_by_method_route_and_status(api: Api) -> None:
    await api.publish()
    await api.admin.get("/v1/events/evt_1")
    await api.admin.get("/v1/events/evt_2")
    await api.admin.post("/v1/events", content=b"{")
    await api.client(None).get("/v1/keys")
    await api.client(None).head("/livez")
    assert counts(api.process) == {
        ("POST", "/v1/events", "202"): 1,
        ("GET", "/v1/events/{event_id}", "404"): 2,
        ("POST", "/v1/events", "400"): 1,
        ("GET", "/v1/keys", "401"): 1,
        ("GET", "/livez", "200"): 1,
    }


async def test_what_no_route_takes_makes_one_series_each_of_paths_and_methods(api: Api) -> None:
    for path in ("/wp-login.php", "/.env", "/v1/nothing"):
        await api.client(None).get(path)
    await api.client(None).request("BREW", "/pot")
    await api.client(None).request("FROB", "/v1/events")
    assert counts(api.process) == {("GET", "", "404"): 3, ("other", "", "404"): 1, ("other", "/v1/events", "405"): 1}


async def test_a_body_that_is_refused_counts_for_its_route(api: Api) -> None:
    await api.admin.post("/v1/events", content=b"x" * 300_000)
    assert counts(api.process) == {("POST", "/v1/events", "413"): 1}


async def test_an_error_that_nobody_foresaw_counts_as_500(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api.services.deliveries, "stats", fail)
    assert (await api.admin.get("/v1/stats")).status_code == 500
    assert counts(api.process) == {("GET", "/v1/stats", "500"): 1}


async def test_a_stream_counts_while_it_lasts(api: Api) -> None:
    await api.client(None).get("/v1/stream")
    await api.admin.head("/v1/stream")
    assert counts(api.process) == {("GET", "/v1/stream", "401"): 1, ("GET", "/v1/stream", "200"): 1}
