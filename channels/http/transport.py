"""An httpx transport on aiohttp's engine: several times faster than httpx's own, and sure to let go when cancelled."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from channels.http.guard import AddressRefused, Guard
from channels.http.resolver import LookupFailed, Resolver

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
KEEPALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which many servers close an idle connection, perhaps under a request; and the
time for which the guard's permission lasts."""
USER_AGENT = "notification-hub/0.1"
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NOT_FOR_HTTPX = frozenset({b"content-encoding", b"content-length", b"location", b"transfer-encoding"})
"""Response headers on which httpx would act: it would decode or follow, or which are not true of what is left."""


class NotConnected(httpx.ConnectError):
    """No connection, so nothing was sent. `permanent` when the address itself is at fault."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends each request as it is over kept connections. Every body is read here, at most `response_bytes` of it;
    the connection of a longer one is closed. Texts of errors name neither URL nor address."""

    def __init__(self, session: aiohttp.ClientSession, response_bytes: int) -> None:
        self._session = session
        self._response_bytes = response_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = CIMultiDict((name.decode(), value.decode()) for name, value in request.headers.raw)
        headers.setdefault("User-Agent", USER_AGENT)
        # A few hundred bytes of gzip can hold gigabytes, so nothing is decoded, and so nothing encoded is asked for.
        headers["Accept-Encoding"] = "identity"
        content = await request.aread()
        wanted = request.extensions.get("timeout", {})
        timeout = _timeout(wanted.get("connect"), wanted.get("read"))
        try:
            url = _url(str(request.url))
            async with self._session.request(
                request.method, url, headers=headers, data=content or None, timeout=timeout, allow_redirects=False
            ) as response:
                body = await self._read(response)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _translated(error, numeric_host=_is_numeric(request.url.host)) from None
        kept = [(name, value) for name, value in response.raw_headers if name.lower() not in _NOT_FOR_HTTPX]
        return httpx.Response(response.status, headers=kept, content=body)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        first = await response.content.readany()
        if len(first) < self._response_bytes and response.content.at_eof():
            return first
        body = bytearray(first)
        while len(body) < self._response_bytes and (chunk := await response.content.readany()):
            body += chunk
        # Leaving a response that has more to come closes its connection.
        return bytes(body[: self._response_bytes])


@asynccontextmanager
async def open_transport(
    guard: Guard, ssl_context: ssl.SSLContext, response_bytes: int
) -> AsyncIterator[AiohttpTransport]:
    """A transport with its connection pool, which has no limit: how much is under way is the caller's to say."""
    connector = aiohttp.TCPConnector(
        limit=0,
        resolver=Resolver(guard),
        ttl_dns_cache=10,
        keepalive_timeout=KEEPALIVE_SECONDS,
        socket_factory=guard.socket,
        ssl=ssl_context,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_AUTOMATIC,
        trust_env=False,
    ) as session:
        yield AiohttpTransport(session, response_bytes)


@lru_cache(maxsize=64)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    # `connect` bounds all addresses of a host together, lookup included; `sock_connect` each of them.
    overall = None if connect is None else 2 * connect
    return aiohttp.ClientTimeout(total=None, connect=overall, sock_connect=connect, sock_read=read)


@lru_cache(maxsize=4096)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


def _is_numeric(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _translated(error: Exception, *, numeric_host: bool) -> httpx.TransportError:
    """The httpx error of an aiohttp one, with a text that a person can act on."""
    match error:
        case aiohttp.ClientConnectorError() | aiohttp.ClientConnectorCertificateError():
            return _not_connected(error, numeric_host=numeric_host)
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout("connecting, TLS included, took too long")
        case TimeoutError():
            return httpx.ReadTimeout("no answer in time")
        case aiohttp.ServerDisconnectedError():
            return httpx.RemoteProtocolError("the connection was closed before an answer came")
        case aiohttp.ClientPayloadError() | aiohttp.ClientOSError():
            return httpx.ReadError("the connection broke")
        case aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError("the answer is not valid HTTP")
        case ValueError():
            return NotConnected("the URL is not valid", permanent=True)
        case _:
            return httpx.NetworkError("the request failed")


def _not_connected(error: aiohttp.ClientError, *, numeric_host: bool) -> NotConnected:
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            reason = getattr(cause, "verify_message", None) or "it does not verify"
            return NotConnected(f"the TLS certificate was not accepted: {reason}")
        case aiohttp.ClientConnectorSSLError(os_error=cause):
            reason = getattr(cause, "reason", None) or "handshake failed"
            return NotConnected(f"TLS failed: {reason.lower().replace('_', ' ')}")
        case aiohttp.ClientConnectorError(os_error=AddressRefused() as cause):
            # What a name stands for may change; a number stays what it is.
            return NotConnected(str(cause), permanent=numeric_host)
        case aiohttp.ClientConnectorError(os_error=LookupFailed() as cause):
            return NotConnected(str(cause))
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return NotConnected("the connection was refused")
        case _:
            return NotConnected("no connection could be made")
