"""Receiving ends for tests: a scripted HTTP server with a journal, and a raw TCP server that may break every rule."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web
from multidict import CIMultiDictProxy

from hub.testing.patience import patience


class Arrival(NamedTuple):
    """One request as it came. `headers` is case-insensitive; `at` is the event loop's time."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: bytes
    at: float

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer, after `delay` seconds."""

    status: int = 200
    body: bytes | str = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


Script = Sequence[Reply | int] | Callable[[Arrival], Reply | int | Awaitable[Reply | int]]


class Receiver:
    """An HTTP server on a free loopback port.

    `script` is a list of answers given in turn (a bare int is a status; 200 once they are used up) or a function of
    the arrival; it may be replaced while the server runs.

    Example:

        async with Receiver([503, Reply(429, headers={"Retry-After": "7"})]) as receiver:
            ...  # post to receiver.url
            assert receiver.requests[0].json() == {...}
    """

    def __init__(self, script: Script = (), *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Arrival] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self.url = ""
        self._tls = tls
        self._arrived = asyncio.Condition()
        self.script = script

    @property
    def script(self) -> Script:
        return self._script

    @script.setter
    def script(self, script: Script) -> None:
        self._script = script
        self._answers = None if callable(script) else iter(script)

    async def arrived(self, count: int = 1) -> list[Arrival]:
        """The journal, once it holds at least `count` requests; waits as long as `patience`."""
        async with patience(), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle), handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        arrival = Arrival(
            request.method,
            request.raw_path,
            request.headers,
            await request.read(),
            asyncio.get_running_loop().time(),
        )
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            async with self._arrived:
                self.requests.append(arrival)
                self._arrived.notify_all()
            answer = await self._answer(arrival)
            if answer.delay:
                await asyncio.sleep(answer.delay)
        finally:
            self.in_flight -= 1
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        return web.Response(status=answer.status, body=body, headers=answer.headers)

    async def _answer(self, arrival: Arrival) -> Reply:
        if self._answers is not None:
            given: Reply | int | Awaitable[Reply | int] = next(self._answers, 200)
        else:
            assert callable(self._script)
            given = self._script(arrival)
        if isinstance(given, Awaitable):
            given = await given
        return Reply(given) if isinstance(given, int) else given


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_receiver(talk: Conversation, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a TCP server that holds `talk` with each connection, for hangs, drips and broken answers."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            # A cancelled connection callback would be reported as an error by the streams of Python 3.11.
            with suppress(ConnectionError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
