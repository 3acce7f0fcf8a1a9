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
from hub.testing.patience import PATIENCE_SECONDS, patience, soon
from hub.testing.receivers import Arrival, Receiver, Reply, raw_receiver

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


@pytest.mark.parametrize("talk", [never, informational_forever])
async def test_a_receiver_that_never_answers_is_left_at_the_deadline(http: httpx.AsyncClient, talk: Talk) -> None:
    async with raw_receiver(talk) as port, patience():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await deliver(http, post(port))
        assert connections(http) == (0, 0)


@pytest.mark.parametrize("talk", [drip_headers, drip_body])
async def test_an_answer_that_never_ends_counts_at_the_deadline_by_its_status(
    http: httpx.AsyncClient, talk: Talk
) -> None:
    async with raw_receiver(talk) as port, patience():
        async with asyncio.timeout(0.1):
            response = await deliver(http, post(port))
    assert response.status_code == 200
    assert connections(http) == (0, 0)


@pytest.mark.parametrize("talk", [drip_headers, drip_body])
async def test_an_answer_that_never_ends_does_not_use_up_the_time_of_the_attempt(
    http: httpx.AsyncClient, talk: Talk
) -> None:
    http.timeout = httpx.Timeout(PATIENCE_SECONDS, read=0.05)
    async with raw_receiver(talk) as port, patience():
        assert (await deliver(http, post(port))).status_code == 200
    assert connections(http) == (0, 0)


def connections(client: httpx.AsyncClient) -> tuple[int, int]:
    """How many connections are in use, and how many are kept."""
    pool = client._transport._pool  # type: ignore[attr-defined] # internals
    kept = sum(connection.is_open for idle in pool._idle.values() for connection in idle)
    return sum(connection.is_open for connection in pool._open) - kept, kept


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
    async with Receiver([Reply(200, bomb, {"Content-Encoding": encoding})]) as receiver:
        response = await deliver(http, post(receiver.port))
    assert receiver.requests[0].headers.getall("Accept-Encoding") == ["identity"]
    assert response.content == bomb[: 64 * 1024]


async def test_connections_are_kept_and_used_again(http: httpx.AsyncClient) -> None:
    async with Receiver() as receiver:
        for _ in range(5):
            await deliver(http, post(receiver.port))
        assert connections(http) == (0, 1)


def answering(answer: bytes) -> Talk:
    """Reads one request, answers with these bytes, and closes the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(answer)
        await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"", "the connection was closed before an answer came"),
        (b"HTTP/1.1 2", "the connection was closed before an answer came"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the connection was closed before an answer came"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not valid HTTP"),
        (b"HTTP/1.1 OK\r\n\r\n", "the answer is not valid HTTP"),
        (b"x" * 100, "the answer is not valid HTTP"),
        (b"HTTP/1.1 103 Early Hints\r\n" + b"Link: x\r\n" * 100_000, "the answer is not valid HTTP"),
    ],
)
async def test_what_brings_no_status_has_words_of_its_own(http: httpx.AsyncClient, answer: bytes, detail: str) -> None:
    async with raw_receiver(answering(answer)) as port:
        with pytest.raises(SendFailed) as caught:
            await deliver(http, post(port))
    assert caught.value.detail == detail
    assert not caught.value.permanent
    assert caught.value.__cause__ is None


OK = b"Content-Length: 2\r\n\r\nok"
ODD = {
    "no reason": b"HTTP/1.1 200\r\n" + OK,
    "line breaks without returns": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "an empty line first": b"\r\n" + HEAD + OK,
    "informational answers first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    + HEAD
    + OK,
    "HTTP/1.0 without a length": b"HTTP/1.0 200 OK\r\n\r\nok",
    "Connection: close without a length": HEAD + b"Connection: close\r\n\r\nok",
    "Latin-1": HEAD + b"X-City: M\xfcnchen\r\n" + OK,
    "a folded field": HEAD + b"X-Folded: a\r\n b: c\r\n" + OK,
    "a line that is no field": HEAD + b"no field\r\n: no name\r\n" + OK,
    "a field of 60 kB": HEAD + b"X: " + b"a" * 60_000 + b"\r\n" + OK,
    "a field of 100 kB": HEAD + b"X: " + b"a" * 100_000 + b"\r\n" + OK,
    "999 fields": HEAD + b"X: y\r\n" * 999 + OK,
    "a gzip that is none": HEAD + b"Content-Encoding: gzip\r\n" + OK,
    "the same length twice": HEAD + b"Content-Length: 2\r\n" + OK,
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nX: trailer\r\n\r\n",
    "chunks beside a length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}
BROKEN = {
    "nothing after the line": HEAD,
    "half of a line": b"HTTP/1.1 200",
    "half of a head": HEAD + b"X: y\r\nContent-Le",
    "a negative length": HEAD + b"Content-Length: -5\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 7\r\nContent-Length: 9\r\n\r\n",
    "a short body": HEAD + b"Content-Length: 100\r\n\r\nshort",
    "a broken chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n",
    "an endless size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 5_000,
    "a field without end": HEAD + b"X: " + b"a" * 2_000_000,
    "too many fields": HEAD + b"X: y\r\n" * 20_000 + OK,
    "204 with a body": b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
    "another answer after it": b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 Oops\r\n\r\n",
    "an odd coding": HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
async def test_an_odd_answer_is_read_to_its_end(http: httpx.AsyncClient, answer: bytes) -> None:
    async with raw_receiver(answering(answer)) as port:
        response = await deliver(http, post(port))
    assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("status", [b"200", b"503"])
async def test_nothing_after_the_status_changes_it(http: httpx.AsyncClient, answer: bytes, status: bytes) -> None:
    async with raw_receiver(answering(answer.replace(b" 200", b" " + status, 1))) as port:
        response = await deliver(http, post(port))
    assert response.status_code in {int(status), 204}
    assert connections(http) == (0, 0)


async def test_a_connection_that_is_reset_after_the_status_does_not_undo_it(http: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(HEAD)
        await writer.drain()
        writer.transport.abort()

    async with raw_receiver(talk) as port:
        assert (await deliver(http, post(port))).status_code == 200


async def test_an_answer_before_the_end_of_the_request_is_the_answer(http: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    request = httpx.Request("POST", "http://127.0.0.1", content=bytes(8 * 1024 * 1024))
    async with raw_receiver(talk) as port:
        request.url = request.url.copy_with(port=port)
        assert (await deliver(http, request)).status_code == 413
    assert connections(http) == (0, 0)


async def test_an_answer_before_the_request_is_the_answer(http: httpx.AsyncClient) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n{}")

    async with raw_receiver(talk) as port:
        response = await deliver(http, post(port))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")


async def test_a_connection_that_speaks_unasked_is_not_used_again(http: httpx.AsyncClient) -> None:
    spoken = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(HEAD + OK)
        await writer.drain()
        await spoken.wait()
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with raw_receiver(talk) as port, patience():
        await deliver(http, post(port))
        assert connections(http) == (0, 1)
        spoken.set()
        while connections(http) != (0, 0):
            await asyncio.sleep(0)
        assert (await deliver(http, post(port))).status_code == 200


async def test_a_header_cannot_end_early(http: httpx.AsyncClient) -> None:
    async with Receiver() as receiver:
        for value in (b"a\r\nX-Injected: 1", b"a\n", b"a\0"):
            request = httpx.Request("POST", receiver.url, headers=[(b"x", value)])
            with pytest.raises(SendFailed, match="a header of the request contains characters"):
                await deliver(http, request)
    assert receiver.requests == []


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
