"""Connections are bounded: how slow a request's head may be, how long, and how many connections there are."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
import uvicorn

from hub.server.http_limits import HEAD_BYTES, HEAD_SECONDS, LINGER_SECONDS, bounded
from hub.testing.patience import PATIENCE_SECONDS, patience
from tests.loop_time import pass_loop_time
from tests.plain_http import NO_TLS

REQUEST = b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n"


class Hello:
    """Answers with the body that it is sent; `heard` is set once it has some of it."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            self.heard.set()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


async def count(scope: Any, receive: Any, send: Any) -> None:
    """Answers in three parts, of a length that is not known before."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for part in (b"one,", b"two,", b"three"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(
    max_connections: int = 100, head_seconds: float = HEAD_SECONDS, hello: Any = None
) -> AsyncIterator[int]:
    config = uvicorn.Config(
        hello or Hello(),
        port=0,
        http=bounded(max_connections, head_seconds),
        lifespan="off",
        log_config=None,
        timeout_keep_alive=int(10 * HEAD_SECONDS),
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def exchange(port: int, talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> bytes:
    """Everything the server says until it closes or resets the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    try:
        async with patience():
            await talk(writer)
            while chunk := await reader.read(65_536):
                said += chunk
    except ConnectionError:
        pass
    finally:
        writer.close()
    return said


async def test_a_silent_connection_is_dropped() -> None:
    async def nothing(writer: asyncio.StreamWriter) -> None:
        pass

    async with serving(head_seconds=0.25) as port:
        assert await exchange(port, nothing) == b""


async def test_a_dripping_head_is_dropped_although_bytes_keep_coming() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\n")
        while not writer.is_closing():
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(head_seconds=0.1) as port:
        assert await exchange(port, drip) == b""


async def test_the_second_head_on_a_connection_is_timed_too() -> None:
    hello = Hello()

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST + b"GET / HT")
        await hello.heard.wait()
        pass_loop_time(HEAD_SECONDS)

    async with serving(hello=hello) as port:
        said = await exchange(port, half)
    assert said.count(b"HTTP/1.1 200") == 1


async def test_an_endless_head_is_dropped() -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * (HEAD_BYTES + 1))
        await writer.drain()

    async with serving() as port:
        assert await exchange(port, flood) == b""


async def test_a_slow_body_and_an_idle_connection_outlive_the_limit_of_heads() -> None:
    hello = Hello()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"one"
        await hello.heard.wait()
        pass_loop_time(HEAD_SECONDS)
        await asyncio.sleep(0)
        yield b"two"

    async with (
        serving(max_connections=1, hello=hello) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=None, verify=NO_TLS) as client,
    ):
        assert (await client.post("/", content=slow_body())).content == b"onetwo"
        pass_loop_time(HEAD_SECONDS)
        await asyncio.sleep(0)
        again = await client.get("/")
    assert again.status_code == 200


async def test_a_large_body_is_no_head() -> None:
    body = b"x" * (HEAD_BYTES * 3)
    async with serving() as port, httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
        assert (await client.post(f"http://127.0.0.1:{port}/", content=body)).content == body


@asynccontextmanager
async def busy(port: int, hello: Hello, count: int) -> AsyncIterator[None]:
    """So many connections on which a request is under way."""
    held = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\nx")
        async with patience():
            await hello.heard.wait()
        hello.heard.clear()
        held.append(writer)
    yield
    for writer in held:
        writer.close()
        await writer.wait_closed()


async def test_the_oldest_connection_without_a_request_makes_room_for_one_too_many() -> None:
    hello = Hello()

    async def silent(writer: asyncio.StreamWriter) -> None:
        connected.append(writer)

    connected: list[asyncio.StreamWriter] = []
    async with serving(max_connections=3, hello=hello) as port, busy(port, hello, 1), asyncio.TaskGroup() as tasks:
        dropped = tasks.create_task(exchange(port, silent))
        while not connected:
            await asyncio.sleep(0)
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
            kept = await client.get(f"http://127.0.0.1:{port}/")
            for _ in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
            assert await dropped == b""
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 200
    assert kept.status_code == 200


async def test_a_body_that_is_sent_on_after_its_answer_is_given_some_time_and_no_more() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\nx")
        await asyncio.sleep(0.01)
        for _ in range(3):
            pass_loop_time(LINGER_SECONDS / 4)
            writer.write(b"x")
            await asyncio.sleep(0.01)
            assert not writer.is_closing()
        pass_loop_time(LINGER_SECONDS)

    async def finish(writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\nx")
        await asyncio.sleep(0.01)
        writer.write(b"x")
        await asyncio.sleep(0.01)
        pass_loop_time(LINGER_SECONDS)
        await asyncio.sleep(0)
        writer.write(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    async with serving(hello=refuse) as port:
        assert (await exchange(port, drip)).count(b"401 Unauthorized") == 1
        assert (await exchange(port, finish)).count(b"401 Unauthorized") == 2


async def test_one_connection_too_many_is_told_to_come_back() -> None:
    hello = Hello()
    async with serving(max_connections=2, hello=hello) as port:
        async with busy(port, hello, 2), httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
            refused = await client.get(f"http://127.0.0.1:{port}/")
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
            served = await client.get(f"http://127.0.0.1:{port}/")
    assert (refused.status_code, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
    assert refused.headers["content-type"] == "application/problem+json"
    assert served.status_code == 200


async def test_what_is_no_http_is_answered_with_a_problem_that_has_an_id() -> None:
    async def nonsense(writer: asyncio.StreamWriter) -> None:
        writer.write(b"NONSENSE\r\n\r\n")

    async with serving() as port:
        head, _, body = (await exchange(port, nonsense)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n")
    problem = orjson.loads(body)
    assert (problem["type"], problem["status"]) == ("urn:notification-hub:problem:bad_request", 400)
    assert b"x-request-id: " + problem["request_id"].encode() in head


async def test_one_listener_too_many_is_told_to_come_back_in_a_way_that_an_event_source_understands() -> None:
    hello = Hello()
    async with (
        serving(max_connections=1, hello=hello) as port,
        busy(port, hello, 1),
        httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_TLS) as client,
    ):
        refused = await client.get(f"http://127.0.0.1:{port}/v1/stream?ticket=x")
    assert (refused.status_code, refused.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert re.fullmatch(r": [^\n]+\nretry: [1-3]\d{4}\n", refused.text)


@pytest.mark.parametrize("connection", [b"", b"Connection: keep-alive\r\n"])
async def test_a_client_of_http_1_0_is_sent_no_chunk_sizes(connection: bytes) -> None:
    """It does not know them and would take them for data (RFC 9112, 6.1); the end of the connection ends the body."""

    async def ask(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.0\r\n" + connection + b"\r\n")

    async with serving(hello=count) as port:
        head, _, body = (await exchange(port, ask)).partition(b"\r\n\r\n")
    assert head.lower().count(b"connection: close") == 1
    assert b"transfer-encoding" not in head.lower()
    assert body == b"one,two,three"


async def test_a_client_of_http_1_0_is_told_a_length_that_is_known() -> None:
    async def ask(writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")

    async with serving() as port:
        head, _, body = (await exchange(port, ask)).partition(b"\r\n\r\n")
    assert b"content-length: 5" in head
    assert body == b"hello"


async def test_a_client_of_http_1_1_is_sent_chunks() -> None:
    async def ask(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")

    async with serving(hello=count) as port:
        _, _, body = (await exchange(port, ask)).partition(b"\r\n\r\n")
    assert body == b"4\r\none,\r\n4\r\ntwo,\r\n5\r\nthree\r\n0\r\n\r\n"
