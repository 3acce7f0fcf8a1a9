"""What tests of channels share: a client that may reach loopback, contexts, and certificates of a private authority."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import trustme

from channels.base import ChannelContext
from channels.http import open_client
from hub.testing.channels import LOOPBACK


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
async def http(client_tls: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(LOOPBACK, ssl_context=client_tls) as client:
        yield client


MakeContext = Callable[..., ChannelContext]


@pytest.fixture
def make_context(http: httpx.AsyncClient, tmp_path: Path) -> MakeContext:
    """A context with the options that are given."""
    return lambda **options: ChannelContext(http=http, data_dir=tmp_path, options=options)
