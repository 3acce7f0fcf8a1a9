"""The client that all channels share."""

import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache

import httpx

from channels.http.guard import Guard, Network
from channels.http.transport import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, USER_AGENT, open_transport

RESPONSE_CAP_BYTES = 64 * 1024


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None: ...


_NO_COOKIES = _NoCookies()


class _Client(httpx.AsyncClient):
    """Stores no cookies: all tenants share the client, and a receiver must not recognise it from one to the next."""

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> None: ...


@asynccontextmanager
async def open_client(
    allow: Sequence[Network] = (),
    *,
    ssl_context: ssl.SSLContext | None = None,
    response_bytes: int = RESPONSE_CAP_BYTES,
) -> AsyncIterator[httpx.AsyncClient]:
    """An `httpx.AsyncClient` that connects only to public addresses and to those in `allow`.

    It follows no redirects, stores no cookies, ignores proxies of the environment, neither asks for compression nor
    decodes it, and reads at most `response_bytes` of each answer. It verifies certificates against the authorities of
    certifi, or those in `SSL_CERT_FILE`, which are read once a process; or with `ssl_context`. The caller limits the
    total time of a request with `asyncio.timeout`; a cancelled request releases its connection. Passing a complete
    `httpx.Request` is fastest.
    """
    # At INFO httpx logs every URL, and some URLs are secrets.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    context = ssl_context or _tls()
    async with (
        open_transport(Guard(allow), context, response_bytes) as transport,
        _Client(
            transport=transport,
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            follow_redirects=False,
            # A proxy of the environment would make the connections, and the guard would see only the proxy's address.
            trust_env=False,
        ) as client,
    ):
        yield client


@cache
def _tls() -> ssl.SSLContext:
    """Shared by all clients: reading the authorities takes longer than all else that opening a client takes."""
    return httpx.create_ssl_context()
