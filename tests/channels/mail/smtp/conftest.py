"""Pools of connections that are closed after the test."""

import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from channels.mail import SmtpPool, SmtpServer

Pools = Callable[..., SmtpPool]


@pytest.fixture
async def pool_for(client_tls: ssl.SSLContext) -> AsyncIterator[Pools]:
    opened: list[SmtpPool] = []

    def make(url: str, tls: ssl.SSLContext = client_tls, **more: Any) -> SmtpPool:
        opened.append(SmtpPool(SmtpServer.parse(url), tls, **more))
        return opened[-1]

    yield make
    for pool in opened:
        await pool.aclose()
