"""Receivers that hang, drip, lie and break off; drills F29 to F33."""

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import trustme

from channels.base import SendFailed
from channels.http import deliver
from channels.http.transport import _timeout
from tests.patience import PATIENCE_SECONDS, patience, soon
from tests.receivers import Answer, Arrival, Receiver, raw_receiver

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\n"


def post(port: int, *, scheme: str = "http", host: str = "127.0.0.1") -> httpx.Request:
    return httpx.Request("POST", f"{scheme}://{host}:{port}/canary", content=b"{}")


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(b"X-Drip: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0.005)


async def drip_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 60000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.005)


async def informational_forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("talk", [never, drip_headers, drip_body, informational_forever])
async def test_a_receiver_that_never_ends_is_left_at_the_deadline(http: httpx.AsyncClient, talk: Talk) -> None:
    async with raw_receiver(talk) as port, patience():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await deliver(http, post(port))
        assert connections(http) == (0, 0)


def connections(client: httpx.AsyncClient) -> tuple[int, int]:
    """How many connections are in use, and how many are kept."""
    connector = client._transport._session.connector  # type: ignore[attr-defined] # internals
    return len(connector._acquired), sum(map(len, connector._conns.values()))


async def test_thousands_of_cancelled_requests_leave_nothing_behind(http: httpx.AsyncClient) -> None:
    async with raw_receiver(never) as port, Receiver() as healthy:
        for _ in range(10):
            tasks = [asyncio.create_task(deliver(http, post(port))) for _ in range(200)]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert connections(http) == (0, 0)
        assert (await deliver(http, post(healthy.port))).status_code == 200


async def test_a_request_cancelled_in_the_middle_of_a_body_gives_its_connection_up(http: httpx.AsyncClient) -> None:
    dripping = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 60000\r\n\r\n")
        for number in range(60_000):
            if number == 5:
                dripping.set()
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    async with raw_receiver(drip) as port:
        task = asyncio.create_task(deliver(http, post(port)))
        await soon(dripping.wait())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert connections(http) == (0, 0)


async def test_an_endless_body_is_cut_and_its_connection_closed(http: httpx.AsyncClient) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            sent += 0x4000
            await writer.drain()

    async with raw_receiver(endless) as port, patience():
        response = await deliver(http, post(port))
    assert response.status_code == 200
    assert len(response.content) == 64 * 1024
    assert connections(http) == (0, 0)
    assert sent < 8 * 1024 * 1024  # what the sockets' own buffers took


@pytest.mark.parametrize("layers", [1, 2])
async def test_a_gzip_bomb_stays_closed(http: httpx.AsyncClient, layers: int) -> None:
    bomb = bytes(10_000_000)
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    encoding = ", ".join(["gzip"] * layers)
    async with Receiver([Answer(200, bomb, {"Content-Encoding": encoding})]) as receiver:
        response = await deliver(http, post(receiver.port))
    assert receiver.requests[0].headers.getall("Accept-Encoding") == ["identity"]
    assert response.content == bomb[: 64 * 1024]


async def test_connections_are_kept_and_used_again(http: httpx.AsyncClient) -> None:
    async with Receiver() as receiver:
        for _ in range(5):
            await deliver(http, post(receiver.port))
        assert connections(http) == (0, 1)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"", "the connection was closed before an answer came"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "the answer is not valid HTTP"),
        (HEAD + b"Content-Length: 100\r\n\r\nshort", "the connection broke"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", "the connection broke"),
    ],
)
async def test_each_kind_of_broken_answer_has_its_own_words(
    http: httpx.AsyncClient, answer: bytes, detail: str
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(answer)
        await writer.drain()

    async with raw_receiver(talk) as port:
        with pytest.raises(SendFailed) as caught:
            await deliver(http, post(port))
    assert caught.value.detail == detail
    assert not caught.value.permanent
    assert caught.value.__cause__ is None


async def test_a_slow_answer_is_a_read_timeout(http: httpx.AsyncClient) -> None:
    http.timeout = httpx.Timeout(PATIENCE_SECONDS, read=0.05)
    async with raw_receiver(never) as port:
        with pytest.raises(SendFailed, match="no answer in time"):
            await deliver(http, post(port))


async def test_a_tls_handshake_that_hangs_is_a_connect_timeout(http: httpx.AsyncClient) -> None:
    http.timeout = httpx.Timeout(PATIENCE_SECONDS, connect=0.05)
    async with raw_receiver(never) as port:
        with pytest.raises(SendFailed, match="connecting, TLS included, took too long"):
            await deliver(http, post(port, scheme="https"))


def issued(authority: trustme.CA, *names: str, age: timedelta = timedelta()) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    end = datetime(2120, 1, 1, tzinfo=UTC) - age
    authority.issue_cert(*names, not_before=begin, not_after=end).configure_cert(context)
    return context


async def test_a_trusted_certificate_is_taken(http: httpx.AsyncClient, server_tls: ssl.SSLContext) -> None:
    async with Receiver(tls=server_tls) as receiver:
        assert (await deliver(http, post(receiver.port, scheme="https", host="localhost"))).status_code == 200


@pytest.mark.parametrize(
    ("fault", "detail"),
    [
        ("expired", "certificate has expired"),
        ("wrong host", "not valid for"),
        ("self-signed", "unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_that_does_not_verify_gets_no_byte_of_the_request(
    http: httpx.AsyncClient, authority: trustme.CA, fault: str, detail: str
) -> None:
    tls = {
        "expired": lambda: issued(authority, "127.0.0.1", age=timedelta(days=36_000)),
        "wrong host": lambda: issued(authority, "other.example"),
        "self-signed": lambda: issued(trustme.CA(), "127.0.0.1"),
    }[fault]()
    async with Receiver(tls=tls) as receiver:
        with pytest.raises(SendFailed, match=detail) as caught:
            await deliver(http, post(receiver.port, scheme="https"))
        await asyncio.sleep(0.02)
    assert receiver.requests == []
    assert caught.value.detail.startswith("the TLS certificate was not accepted")
    assert not caught.value.permanent


async def test_tls_against_a_server_without_it_fails_clearly(http: httpx.AsyncClient) -> None:
    async with Receiver() as receiver:
        with pytest.raises(SendFailed, match="TLS failed"):
            await deliver(http, post(receiver.port, scheme="https"))


async def test_a_certificate_is_verified_for_each_name_of_one_address(
    http: httpx.AsyncClient, authority: trustme.CA
) -> None:
    async with Receiver(tls=issued(authority, "localhost")) as receiver:
        await deliver(http, post(receiver.port, scheme="https", host="localhost"))
        with pytest.raises(SendFailed, match="certificate"):
            await deliver(http, post(receiver.port, scheme="https", host="127.0.0.1"))
    assert len(receiver.requests) == 1


async def test_a_hundred_at_once_run_at_once(http: httpx.AsyncClient) -> None:
    all_are_here = asyncio.Event()

    async def answer(arrival: Arrival) -> int:
        if receiver.in_flight == 100:
            all_are_here.set()
        await all_are_here.wait()
        return 200

    async with Receiver(answer) as receiver, patience():
        await asyncio.gather(*(deliver(http, post(receiver.port)) for _ in range(100)))


def test_connecting_has_a_bound_over_all_addresses() -> None:
    timeout = _timeout(5.0, 30.0)
    assert (timeout.connect, timeout.sock_connect, timeout.sock_read, timeout.total) == (10.0, 5.0, 30.0, None)
