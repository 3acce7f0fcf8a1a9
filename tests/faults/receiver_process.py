"""A webhook receiver in a process of its own, which outlives the hub and keeps a journal of what it was sent and said.

The first line it prints is its port. Each first path
segment is a lane, and behaves as was last put to `/-/<lane>`: `{"status", "delay", "headers", "body"}`, status 0 for
never.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
import orjson
import uvloop
from aiohttp import web

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.journal import Journal, read_journal
from tests.faults.patience import until
from tests.forks import ForkedProcess
from tests.plain_http import NO_TLS

PROGRAM = "tests.faults.receiver_process:main"


class Arrival(NamedTuple):
    """One request. `at` is CLOCK_MONOTONIC, which all processes of a machine share; `in_flight` is of its lane."""

    lane: str
    webhook_id: str
    status: int
    at: float
    in_flight: int
    number: int | None
    """`data.n` of the event."""


class ReceiverProcess:
    """Starts and steers the program. Use as an async context manager."""

    def __init__(self, journal: Path, host: str = "127.0.0.1") -> None:
        self._journal = journal
        self._host = host

    async def __aenter__(self) -> Self:
        said, theirs = os.pipe()
        arguments = [str(self._journal), self._host]
        self._process = ForkedProcess(PROGRAM, arguments, cwd=Path.cwd(), env=os.environ, stdout=theirs, stderr=2)
        os.close(theirs)
        self.port = int(await asyncio.to_thread(os.read, said, 100))
        os.close(said)
        self._control = httpx.AsyncClient(
            base_url=f"http://{self._host}:{self.port}/-/", timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._control.aclose()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    def url(self, lane: str) -> str:
        return f"http://{self._host}:{self.port}/{lane}"

    async def behave(self, lane: str, **behaviour: Any) -> None:
        """`status` (200; 0 for never), `delay` (0 s), `headers`, `body`, and `held`: to answer what comes only when the
        behaviour of the lane is set again."""
        (await self._control.put(lane, json=behaviour)).raise_for_status()

    def arrivals(self, lane: str | None = None) -> list[Arrival]:
        all_of_them = [Arrival(**line) for line in read_journal(self._journal)]
        return [arrival for arrival in all_of_them if lane in (None, arrival.lane)]

    async def arrived(
        self, count: int, lane: str | None = None, *, within: float = PATIENCE_SECONDS, every: float = 0.05
    ) -> list[Arrival]:
        """The journal, once it holds so many."""

        async def enough() -> bool:
            return len(self.arrivals(lane)) >= count

        await until(enough, within, every=every)
        return self.arrivals(lane)


class _Receiver:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._behaviours: dict[str, dict[str, Any]] = {}
        self._in_flight: dict[str, int] = {}
        self._changed: dict[str, asyncio.Event] = {}
        """Set, and forgotten, when the behaviour of a lane is set."""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        lane, _, rest = request.path.strip("/").partition("/")
        body = await request.read()
        if lane == "-":
            self._behaviours[rest] = orjson.loads(body)
            self._changed.pop(rest, asyncio.Event()).set()
            return web.Response(status=204)
        behaviour = self._behaviours.get(lane, {})
        self._in_flight[lane] = self._in_flight.get(lane, 0) + 1
        try:
            return await self._answer(lane, request.headers.get("webhook-id", ""), body, behaviour)
        finally:
            self._in_flight[lane] -= 1

    async def _answer(self, lane: str, webhook_id: str, body: bytes, behaviour: dict[str, Any]) -> web.Response:
        status = behaviour.get("status", 200)
        self._journal.write(
            lane=lane,
            webhook_id=webhook_id,
            status=status,
            at=time.monotonic(),
            in_flight=self._in_flight[lane],
            number=_number(body),
        )
        if not status:
            await asyncio.Event().wait()
        if behaviour.get("held"):
            await self._changed.setdefault(lane, asyncio.Event()).wait()
        await asyncio.sleep(behaviour.get("delay", 0))
        return web.Response(status=status, text=behaviour.get("body"), headers=behaviour.get("headers"))


def _number(body: bytes) -> int | None:
    try:
        number = orjson.loads(body)["data"]["n"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return number if isinstance(number, int) else None


async def _serve(journal: Path, host: str) -> None:
    runner = web.ServerRunner(web.Server(_Receiver(Journal(journal)).handle))
    await runner.setup()
    await web.TCPSite(runner, host, 0, backlog=1_024).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def main() -> None:
    journal, host = sys.argv[1:]
    uvloop.run(_serve(Path(journal), host))
