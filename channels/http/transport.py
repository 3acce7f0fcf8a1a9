"""An httpx transport on aiohttp's engine: several times faster than httpx's own, and it always releases the connection
of a cancelled request. See docs/decisions/0002."""

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
"""Shorter than the five seconds after which many servers close an idle connection, which could hit a request. It is
also how long a permission of the guard lasts."""
USER_AGENT = "notification-hub/0.1"
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NOT_FOR_HTTPX = frozenset({b"content-encoding", b"content-length", b"location", b"transfer-encoding"})
"""Response headers that httpx would act on, by decoding or redirecting, or that do not describe a body that was cut."""


class NotConnected(httpx.ConnectError):
    """No connection was made, so nothing was sent. `permanent` says that the address itself is the reason."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends each request unchanged, over connections that are kept and reused.

    It reads at most `response_bytes` of each body and closes the connection of a longer one. Error texts contain
    neither a URL nor an address.
    """

    def __init__(self, session: aiohttp.ClientSession, response_bytes: int) -> None:
        self._session = session
        self._response_bytes = response_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = CIMultiDict((name.decode(), value.decode()) for name, value in request.headers.raw)
        headers.setdefault("User-Agent", USER_AGENT)
        # A few hundred bytes of gzip can contain gigabytes, so nothing is decoded, and no encoding is asked for.
        headers["Accept-Encoding"] = "identity"
        content = await request.aread()
        seconds = request.extensions.get("timeout", {})
        timeout = _timeout(seconds.get("connect"), seconds.get("read"))
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
        # Leaving a response before its end closes its connection.
        return bytes(body[: self._response_bytes])


@asynccontextmanager
async def open_transport(
    guard: Guard, ssl_context: ssl.SSLContext, response_bytes: int
) -> AsyncIterator[AiohttpTransport]:
    """A transport with its connection pool. The pool has no limit, because the caller limits the requests under way."""
    connector = aiohttp.TCPConnector(
        limit=0,
        resolver=Resolver(guard),
        # Short, because names move; the guard checks each address again when it connects.
        ttl_dns_cache=10,
        keepalive_timeout=KEEPALIVE_SECONDS,
        socket_factory=guard.socket,
        ssl=ssl_context,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        # The request has the headers that the channel gave it, and no others.
        skip_auto_headers=_AUTOMATIC,
        trust_env=False,
    ) as session:
        yield AiohttpTransport(session, response_bytes)


@lru_cache(maxsize=64)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    # `connect` limits all addresses of a host together, with the lookup; `sock_connect` limits each address.
    overall = None if connect is None else 2 * connect
    return aiohttp.ClientTimeout(total=None, connect=overall, sock_connect=connect, sock_read=read)


@lru_cache(maxsize=4096)
def _url(text: str) -> URL:
    # Not quoted again: what the target calls its address is what it gets, to the character.
    return URL(text, encoded=True)


def _is_numeric(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _translated(error: Exception, *, numeric_host: bool) -> httpx.TransportError:
    """The httpx error for an aiohttp error, with a text that a person can act on."""
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
            # A name may get another address later; a numeric address stays what it is.
            return NotConnected(str(cause), permanent=numeric_host)
        case aiohttp.ClientConnectorError(os_error=LookupFailed() as cause):
            return NotConnected(str(cause))
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return NotConnected("the connection was refused")
        case _:
            return NotConnected("no connection could be made")
