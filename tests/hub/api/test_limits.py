"""How much of a body is read."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from hub.api.bodies import JsonRoute
from hub.app import create_app
from hub.testing.patience import patience
from tests.api_support import open_api, settings_for

CHUNK = b"x" * 1_000
LIMITS = {"max_body_bytes": 10_000, "max_batch_bytes": 50_000}


class Upload:
    """A body without a declared length that counts how much of it was taken."""

    def __init__(self, *first: bytes) -> None:
        self._first = first
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._first:
            yield chunk
        while self.taken < 1_000_000:
            self.taken += len(CHUNK)
            yield CHUNK


@pytest.mark.parametrize(
    ("media_type", "first", "limit"),
    [
        ("application/json", b'{"type": "', 10_000),
        ("application/json", b" \n[", 50_000),
        ("application/json", b"\xef\xbb\xbf[", 50_000),
        ("application/json", (b"\xef\xbb\xbf", b" ", b"\n", b"["), 50_000),
        ("application/json", (b" ", b"{"), 10_000),
        ("application/x-ndjson", b'{"type": "', 50_000),
        ("application/cloudevents-batch+json", b"[", 50_000),
        ("application/cloudevents+json", b"{", 10_000),
        ("text/plain", b"x", 10_000),
    ],
)
async def test_a_body_is_read_up_to_its_limit_and_no_further(
    tmp_path: Path, media_type: str, first: bytes | tuple[bytes, ...], limit: int
) -> None:
    upload = Upload(*(first if isinstance(first, tuple) else [first]))
    async with open_api(settings_for(tmp_path, **LIMITS)) as api:
        refused = await api.admin.post("/v1/events", content=upload, headers={"content-type": media_type})
        assert refused.status_code == 413
        assert refused.headers["content-type"] == "application/problem+json"
        setting = "HUB_MAX_BODY_BYTES" if limit == LIMITS["max_body_bytes"] else "HUB_MAX_BATCH_BYTES"
        assert f"{limit} bytes" in refused.json()["detail"]
        assert setting in refused.json()["detail"]
        assert (await api.admin.get("/v1/events")).json()["items"] == []
    assert limit - len(CHUNK) <= upload.taken <= limit + len(CHUNK)


async def test_a_body_that_declares_too_much_is_refused_unread(tmp_path: Path) -> None:
    upload = Upload(b"{")
    async with open_api(settings_for(tmp_path, **LIMITS)) as api:
        refused = await api.admin.post("/v1/events", content=upload, headers={"content-length": "50001"})
    assert refused.status_code == 413
    assert upload.taken == 0


@pytest.mark.parametrize(("size", "status"), [(10_000, 202), (10_001, 413)])
async def test_an_event_may_fill_the_limit_exactly(tmp_path: Path, size: int, status: int) -> None:
    head, tail = b'{"type": "stock.low", "data": "', b'"}'
    body = head + b"x" * (size - len(head) - len(tail)) + tail
    async with open_api(settings_for(tmp_path, **LIMITS)) as api:
        assert (await api.admin.post("/v1/events", content=body)).status_code == status


async def test_the_limit_holds_on_every_route_that_takes_a_body(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path, **LIMITS)) as api:
        for method, path in (("POST", "/v1/subscriptions"), ("PATCH", "/v1/subscriptions/sub_1"), ("POST", "/v1/keys")):
            answer = await api.admin.request(method, path, content=Upload(b"{"))
            assert answer.status_code == 413


async def test_a_body_that_does_not_arrive_is_refused_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unfinished() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr("hub.api.limits.BODY_SECONDS", 0.01)
    async with open_api(settings_for(tmp_path)) as api, patience():
        refused = await api.admin.post("/v1/events", content=unfinished())
    assert (refused.status_code, refused.json()["detail"]) == (400, "The body took too long to arrive.")


async def test_no_byte_of_a_body_is_read_before_the_key_is_looked_at(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path)) as api:
        for method, path in (
            ("POST", "/v1/events"),
            ("POST", "/v1/orders/1/events"),
            ("POST", "/v1/subscriptions"),
            ("PATCH", "/v1/subscriptions/sub_1"),
            ("PUT", "/v1/event-types/stock.low"),
            ("POST", "/v1/keys"),
            ("POST", "/v1/sources/src_1/events"),
        ):
            for client in (api.client(None), api.client("not-a-key")):
                upload = Upload(b"{")
                answer = await client.request(method, path, content=upload)
                assert (path, answer.status_code, upload.taken) == (path, 401, 0)


def test_every_route_that_has_a_body_reads_it_after_the_key(tmp_path: Path) -> None:
    routes = [route for route in create_app(settings_for(tmp_path)).routes if isinstance(route, APIRoute)]
    assert [route.path for route in routes if route.body_field is not None and not isinstance(route, JsonRoute)] == []


async def test_bodies_that_do_not_end_have_a_share_of_the_memory_and_no_more(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def unfinished() -> AsyncIterator[bytes]:
        yield b"[" + b"x" * 4_000_000
        await never.wait()

    settings = settings_for(tmp_path, buffer_bytes=16 * 1024 * 1024, max_batch_bytes=4 * 1024 * 1024)
    async with open_api(settings) as api:
        loud = await api.holder("events:write", tenant="loud")
        quiet = await api.holder("events:write", tenant="quiet")
        memory = api.process.core.memory
        posts = [asyncio.create_task(loud.post("/v1/events", content=unfinished())) for _ in range(10)]
        async with patience():
            refused = [await post for post in itertools.islice(asyncio.as_completed(posts), 8)]
        assert {(one.status_code, one.headers["retry-after"]) for one in refused} == {(503, "1")}
        assert memory.held == 8_000_002
        large = {"type": "stock.low", "data": "x" * 200_000}
        assert (await quiet.post("/v1/events", json=large)).status_code == 202
        for post in posts:
            post.cancel()
        await asyncio.gather(*posts, return_exceptions=True)
        assert memory.held == 0
