"""Connections: where they are made, how long they are kept, and which names are looked up."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from channels.base import SendFailed
from channels.http import Guard, deliver, pool
from channels.http.client import _tls
from channels.http.pool import NotConnected, Origin, Pool
from hub.testing.channels import LOOPBACK
from hub.testing.patience import PATIENCE_SECONDS, patience
from hub.testing.receivers import Receiver


@pytest.fixture
async def connections() -> Pool:
    return Pool(Guard(LOOPBACK), _tls())


async def test_a_connection_is_used_again_until_it_has_been_idle_for_too_long(
    connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver:
        origin: Origin = (b"http", "127.0.0.1", receiver.port)
        connection = await connections.connect(origin, PATIENCE_SECONDS)
        connections.keep(origin, connection)
        assert connections.idle(origin) is connection
        assert connections.idle(origin) is None
        connections.keep(origin, connection)
        monkeypatch.setattr(pool, "KEEPALIVE_SECONDS", 0.0)
        assert connections.idle(origin) is None
        assert not connection.is_open


async def test_idle_connections_are_closed_though_nothing_asks_for_them(
    connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "KEEPALIVE_SECONDS", 0.01)
    async with Receiver() as receiver, patience():
        origin: Origin = (b"http", "127.0.0.1", receiver.port)
        connection = await connections.connect(origin, PATIENCE_SECONDS)
        connections.keep(origin, connection)
        while connection.is_open or connections._idle:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        assert connections._open == set()


async def test_a_name_is_looked_up_once_in_a_while(connections: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = socket.getaddrinfo

    def counted(host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    async with Receiver() as receiver:
        for _ in range(3):
            await connections.connect((b"http", "many.example", receiver.port), PATIENCE_SECONDS)
        assert asked == ["many.example"]
        monkeypatch.setattr(pool, "NAME_SECONDS", -1.0)
        connections._names.clear()
        for _ in range(3):
            await connections.connect((b"http", "many.example", receiver.port), PATIENCE_SECONDS)
        assert len(asked) == 4
    connections.close()


async def test_the_next_address_is_tried_when_one_refuses(connections: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.9", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    async with Receiver() as receiver:
        assert (await connections.connect((b"http", "two.example", receiver.port), PATIENCE_SECONDS)).is_open
    connections.close()


async def test_a_refused_connection_is_said_to_be_one(connections: Pool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotConnected, match="the connection was refused"):
            await connections.connect((b"http", "127.0.0.1", taken.getsockname()[1]), PATIENCE_SECONDS)


async def test_a_scheme_that_is_not_http_is_refused(http: httpx.AsyncClient) -> None:
    with pytest.raises(SendFailed, match="neither http nor https"):
        await deliver(http, httpx.Request("POST", "ftp://127.0.0.1/"))


async def test_closing_ends_what_is_in_use_too(connections: Pool) -> None:
    async with Receiver() as receiver:
        connection = await connections.connect((b"http", "127.0.0.1", receiver.port), PATIENCE_SECONDS)
        connections.close()
        assert not connection.is_open
