"""The client that every channel shares."""

import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from channels.http.guard import Guard, Network
from channels.http.transport import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, USER_AGENT, open_transport

RESPONSE_CAP_BYTES = 64 * 1024


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None: ...


_NO_COOKIES = _NoCookies()


class _Client(httpx.AsyncClient):
    """Receivers do not get to mark the hub."""

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
    """An `httpx.AsyncClient` that connects to public addresses and those in `allow` only.

    It follows no redirect, keeps no cookie, heeds no proxy of the environment, asks for and decodes no compression,
    and gives at most `response_bytes` of each answer. Certificates are verified against certifi's authorities, or
    those of `SSL_CERT_FILE`, or by `ssl_context`. How long a request may take in all is the caller's
    `asyncio.timeout`; a cancelled request gives its connection back. Fastest with a ready `httpx.Request`.
    """
    # At INFO httpx logs every URL, and some URLs are secrets.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    context = ssl_context or httpx.create_ssl_context()
    async with (
        open_transport(Guard(allow), context, response_bytes) as transport,
        _Client(
            transport=transport,
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        ) as client,
    ):
        yield client
