"""An httpx transport with HTTP/1.1 connections of its own: the status of an answer decides, whatever follows it, and a
cancelled request always releases its connection. See docs/decisions/0021."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import httpx

from channels.http.answer import AnswerParser
from channels.http.guard import Guard
from channels.http.pool import Origin, Pool

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
USER_AGENT = f"notification-hub/{version('notification-hub')}"
_PORTS = {b"http": 80, b"https": 443}
_OWN_HEADERS = frozenset({b"accept-encoding", b"connection", b"content-length", b"transfer-encoding"})
"""Request headers that the transport sets or that it has no use for."""
_NOT_FOR_HTTPX = frozenset({b"content-encoding", b"content-length", b"location", b"transfer-encoding"})
"""Response headers that httpx would act on, by decoding or redirecting, or that do not describe a body that was cut."""
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Transport(httpx.AsyncBaseTransport):
    """Sends each request unchanged, over connections that are kept and reused.

    It reads at most `response_bytes` of each body and closes the connection of a longer one. Error texts contain
    neither a URL nor an address.
    """

    def __init__(self, pool: Pool, response_bytes: int) -> None:
        self._pool = pool
        self._response_bytes = response_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        message = _message(request, await request.aread())
        origin = _origin(request.url)
        seconds = request.extensions.get("timeout", {})
        connection = self._pool.idle(origin) or await self._pool.connect(origin, seconds.get("connect"))
        answer = AnswerParser(self._response_bytes)
        await connection.exchange(message, answer, seconds.get("read"))
        self._pool.keep(origin, connection)
        kept = [(name, value) for name, value in answer.fields if name.lower() not in _NOT_FOR_HTTPX]
        return httpx.Response(answer.status, headers=kept, content=bytes(answer.body))


@asynccontextmanager
async def open_transport(guard: Guard, ssl_context: ssl.SSLContext, response_bytes: int) -> AsyncIterator[Transport]:
    """A transport with its connections, which are closed at the end."""
    pool = Pool(guard, ssl_context)
    try:
        yield Transport(pool, response_bytes)
    finally:
        pool.close()


def _origin(url: httpx.URL) -> Origin:
    if url.raw_scheme not in _PORTS:
        raise httpx.UnsupportedProtocol("the URL is neither http nor https")
    return url.raw_scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.raw_scheme]


def _message(request: httpx.Request, content: bytes) -> bytes:
    """The bytes of a request. Raises `httpx.LocalProtocolError` for a header that would end before its value does."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path), *_header_lines(request)]
    if content or request.method not in _BODILESS:
        lines.append(b"content-length: %d" % len(content))
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise httpx.LocalProtocolError("a header of the request contains characters that are not allowed in one")
    return head + b"\r\n\r\n" + content


def _header_lines(request: httpx.Request) -> Iterator[bytes]:
    names_itself = False
    for name, value in request.headers.raw:
        lower = name.lower()
        if lower not in _OWN_HEADERS:
            names_itself |= lower == b"user-agent"
            yield b"%b: %b" % (name, value)
    if not names_itself:
        yield b"user-agent: " + USER_AGENT.encode()
    # A few hundred bytes of gzip can contain gigabytes, so nothing is decoded, and no encoding is asked for.
    yield b"accept-encoding: identity"
