"""Bodies of routes that take a model are read as strictly as events are."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from hub.api import problems
from hub.api.bodies import JsonRoute


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Of an app with one route, which gives back what it was sent."""
    router = APIRouter(route_class=JsonRoute)

    @router.post("/")
    async def echo(body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        return body

    app = FastAPI()
    app.include_router(router)
    problems.install(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub") as client:
        yield client


async def post(client: httpx.AsyncClient, body: bytes, media: str = "application/json") -> httpx.Response:
    return await client.post("/", content=body, headers={"Content-Type": media} if media else {})


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=utf-8", "application/merge-patch+json"]
)
async def test_json_is_read_whatever_kind_of_json_it_is_called(client: httpx.AsyncClient, media: str) -> None:
    assert (await post(client, b'{"a": 1}', media)).json() == {"a": 1}


@pytest.mark.parametrize("media", ["text/plain", "text/json", "application/x-www-form-urlencoded", "image/x+json"])
async def test_a_body_that_is_not_called_json_is_refused(client: httpx.AsyncClient, media: str) -> None:
    assert (await post(client, b'{"a": 1}', media)).status_code == 415


async def test_a_body_that_is_called_nothing_is_read_as_json(client: httpx.AsyncClient) -> None:
    assert (await post(client, b'{"a": 1}', "")).json() == {"a": 1}
    assert (await post(client, b"a=1", "")).status_code == 400


async def test_a_byte_order_mark_is_no_part_of_a_body(client: httpx.AsyncClient) -> None:
    assert (await post(client, b'\xef\xbb\xbf{"a": 1}')).json() == {"a": 1}


async def test_no_body_needs_no_media_type(client: httpx.AsyncClient) -> None:
    answer = await post(client, b"", "")
    assert (answer.status_code, answer.json()) == (200, None)


@pytest.mark.parametrize(
    "body", [b"{", b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"]
)
async def test_what_could_not_be_shown_again_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await post(client, body)).status_code == 400
