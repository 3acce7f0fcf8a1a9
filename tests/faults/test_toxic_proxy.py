"""The proxy of the drills does to connections what it says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.faults.toxic_proxy import ToxicProxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(100):
            writer.write(chunk)
    await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.fixture
async def proxy() -> AsyncIterator[ToxicProxy]:
    """Before a server that says what it is told."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, ToxicProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: ToxicProxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    await close(writer)


@pytest.fixture
async def streams(proxy: ToxicProxy) -> AsyncIterator[Streams]:
    async with connected(proxy) as streams:
        yield streams


async def told(streams: Streams, text: bytes) -> bytes:
    streams[1].write(text)
    return await streams[0].readexactly(len(text))


async def broken(streams: Streams) -> bool:
    try:
        return await streams[0].read() == b""
    except ConnectionError:
        return True


async def test_it_passes_at_first(streams: Streams) -> None:
    assert await told(streams, b"one") == b"one"


async def test_it_loses_one_answer_with_its_connection_and_no_other(proxy: ToxicProxy, streams: Streams) -> None:
    proxy.lose_answer(b"two")
    assert await told(streams, b"one") == b"one"
    streams[1].write(b"two")
    assert await broken(streams)
    assert proxy.lost.is_set()
    async with connected(proxy) as again:
        assert await told(again, b"two") == b"two"


async def test_it_cuts_what_is_connected_and_what_connects_until_it_is_healed(
    proxy: ToxicProxy, streams: Streams
) -> None:
    assert await told(streams, b"one") == b"one"
    proxy.cut()
    assert await broken(streams)
    async with connected(proxy) as refused:
        assert await broken(refused)
    proxy.heal()
    async with connected(proxy) as healed:
        assert await told(healed, b"two") == b"two"


async def test_it_goes_silent_and_later_passes_what_it_held_up(proxy: ToxicProxy, streams: Streams) -> None:
    proxy.stall()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(told(streams, b"one"), 0.1)
    proxy.heal()
    assert await streams[0].readexactly(3) == b"one"


async def test_what_it_held_up_is_gone_when_it_is_cut(proxy: ToxicProxy, streams: Streams) -> None:
    proxy.stall()
    streams[1].write(b"one")
    await asyncio.sleep(0.05)
    proxy.cut()
    assert await broken(streams)
