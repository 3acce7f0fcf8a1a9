"""Pages of the origins that the operator names may use the API and the stream, and no others."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api_support import Api, open_api, settings_for

CONSOLE = "https://console.example.com"
OTHER = "https://evil.example"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(settings_for(tmp_path, cors_origins=(CONSOLE, "http://localhost:5173"))) as api:
        yield api


def named(value: str) -> set[str]:
    return {name.strip().lower() for name in value.split(",")}


def allowed(answer: httpx.Response) -> str | None:
    assert "access-control-allow-credentials" not in answer.headers
    origin: str | None = answer.headers.get("access-control-allow-origin")
    return origin


async def preflight(api: Api, path: str, method: str, headers: str, origin: str = CONSOLE) -> httpx.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    return await api.client(None).options(path, headers=asked)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/events", "POST"),
        ("/v1/stream", "GET"),
        ("/v1/stream-tickets", "POST"),
        ("/v1/subscriptions/sub_1", "PATCH"),
        ("/v1/subscriptions/sub_1", "DELETE"),
        ("/v1/event-types/a.b", "PUT"),
    ],
)
async def test_a_preflight_of_a_named_origin_is_answered_without_a_key(api: Api, path: str, method: str) -> None:
    wanted = "authorization,content-type,idempotency-key,last-event-id,x-api-key"
    answer = await preflight(api, path, method, wanted)
    assert (answer.status_code, allowed(answer)) == (200, CONSOLE)
    assert method.lower() in named(answer.headers["access-control-allow-methods"])
    assert named(wanted) <= named(answer.headers["access-control-allow-headers"])
    assert "origin" in named(answer.headers["vary"])


async def test_another_origin_is_not_named(api: Api) -> None:
    for origin in (OTHER, "null", CONSOLE + ".evil.example", "http://console.example.com", CONSOLE + ":8443"):
        assert allowed(await preflight(api, "/v1/events", "POST", "authorization", origin)) is None
        answer = await api.admin.get("/v1/events", headers={"Origin": origin})
        assert (answer.status_code, allowed(answer)) == (200, None)
        assert "origin" in named(answer.headers["vary"])


async def test_a_page_reads_answers_and_the_headers_that_it_needs(api: Api) -> None:
    answer = await api.admin.post("/v1/events", json={"type": "stock.low", "data": 1}, headers={"Origin": CONSOLE})
    assert (answer.status_code, allowed(answer)) == (202, CONSOLE)
    assert {"location", "retry-after", "idempotency-key", "last-event-id"} <= named(
        answer.headers["access-control-expose-headers"]
    )


async def test_a_page_reads_problems_too(api: Api) -> None:
    stranger = api.client(None)
    large = b'{"type":"' + b"x" * (api.services.settings.max_body_bytes + 1)
    problems = [
        await stranger.get("/v1/events", headers={"Origin": CONSOLE}),
        await api.admin.get("/v1/nothing", headers={"Origin": CONSOLE}),
        await api.admin.get("/v1/stream", params={"statuses": "x"}, headers={"Origin": CONSOLE}),
        await api.admin.post("/v1/events", content=large, headers={"Origin": CONSOLE}),
    ]
    assert [answer.status_code for answer in problems] == [401, 404, 422, 413]
    assert {allowed(answer) for answer in problems} == {CONSOLE}


async def test_a_page_reads_an_error_that_nobody_foresaw(api: Api) -> None:
    app: Any = api.transport.app

    async def mistake() -> None:
        raise ZeroDivisionError

    app.add_api_route("/v1/mistake", mistake)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        answer = await client.get("/v1/mistake", headers={"Origin": CONSOLE})
    assert (answer.status_code, allowed(answer)) == (500, CONSOLE)


async def test_what_needs_no_key_is_open_to_no_page(api: Api) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json"):
        answer = await api.client(None).get(path, headers={"Origin": CONSOLE})
        assert (answer.status_code, allowed(answer)) == (200, None)


async def test_without_named_origins_the_api_is_open_to_no_page(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path)) as api:
        answer = await api.admin.get("/v1/events", headers={"Origin": CONSOLE})
        assert allowed(answer) is None
        assert allowed(await preflight(api, "/v1/events", "POST", "authorization")) is None
