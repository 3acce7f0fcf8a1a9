"""A TCP proxy that misbehaves on demand, to stand between the hub and its server, or between a server and its replica:
it passes, loses one answer, cuts, or goes silent."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 1 << 16


class ToxicProxy:
    """Stands before a port of loopback, `target`. Use as an async context manager; it passes everything at first."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._refusing = False
        self._watched = b""
        self._links: set[_Link] = set()
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.lost = asyncio.Event()
        """Set once an answer was lost that `lose_answer` asked for."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*(link.closed() for link in self._links))
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection, and each new one at once, until `heal`."""
        self._refusing = True
        for link in tuple(self._links):
            link.abort()
        self.flowing.set()

    def stall(self) -> None:
        """Pass nothing more, and say nothing to anyone, until `heal` or `cut`."""
        self.flowing.clear()

    def heal(self) -> None:
        """Pass again; what was held up by `stall` goes on."""
        self._refusing = False
        self.flowing.set()

    def lose_answer(self, to: bytes) -> None:
        """Let the next request that contains these bytes through, and break its connection instead of answering."""
        self._watched = to
        self.lost.clear()

    def loses_answer(self, request: bytes) -> bool:
        """Whether this is the request whose answer is to be lost."""
        found = bool(self._watched) and self._watched in request
        if found:
            self._watched = b""
        return found

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, reader, writer, *server)
        self._links.add(link)
        try:
            await asyncio.gather(link.requests(), link.answers())
        except (ConnectionError, TimeoutError):
            pass
        finally:
            link.abort()
            await link.closed()
            self._links.discard(link)


class _Link:
    """Two connections that are one to those at their ends."""

    def __init__(
        self,
        proxy: ToxicProxy,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = from_client, to_client
        self._from_server, self._to_server = from_server, to_server
        self._losing = False

    def abort(self) -> None:
        self._to_client.transport.abort()
        self._to_server.transport.abort()

    async def closed(self) -> None:
        for end in (self._to_client, self._to_server):
            with suppress(OSError):
                await end.wait_closed()

    async def requests(self) -> None:
        while chunk := await self._from_client.read(CHUNK_BYTES):
            await self._proxy.flowing.wait()
            self._losing = self._losing or self._proxy.loses_answer(chunk)
            self._to_server.write(chunk)
            await self._to_server.drain()
        with suppress(OSError):
            self._to_server.write_eof()

    async def answers(self) -> None:
        while chunk := await self._from_server.read(CHUNK_BYTES):
            await self._proxy.flowing.wait()
            if self._losing:
                self.abort()
                self._proxy.lost.set()
                return
            self._to_client.write(chunk)
            await self._to_client.drain()
        self._to_client.close()
