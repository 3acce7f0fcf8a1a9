"""Clients that others wrote, watching a hub: what each heard, how often it connected, and whether it gave up."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from aiohttp import web
from httpx_sse import aconnect_sse

from hub.testing.patience import PATIENCE_SECONDS, patience
from tests.interop.conftest import TOOLS
from tests.plain_http import NO_TLS

HERE = Path(__file__).parent
CLOSED = 2
"""`readyState` of an `EventSource` that never tries again."""
CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")


@dataclass
class Watcher:
    """What a client told so far."""

    heard: list[str] = field(default_factory=list)
    """Ids of accepted events, in the order in which they were heard."""
    connections: int = 0
    gave_up: bool = False
    other: list[dict[str, Any]] = field(default_factory=list)

    def told(self, what: dict[str, Any]) -> None:
        if "heard" in what:
            self.heard.append(what["heard"])
        elif "opened" in what:
            self.connections += 1
        elif "error" in what:
            self.gave_up = self.gave_up or what["error"] == CLOSED
        else:
            self.other.append(what)

    async def hears(self, count: int) -> None:
        """Return once it heard so many events."""
        await self.until(lambda: len(self.heard) >= count)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with patience():
            while not holds():
                assert not self.gave_up, self
                await asyncio.sleep(0.05)


Watch = Callable[[str, str], AbstractAsyncContextManager[Watcher]]
"""Lets a client watch the hub at this URL, with this key, while the context lasts."""


async def ticket(url: str, key: str) -> str:
    """The address of a stream for a client that sets no headers."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, verify=NO_TLS, trust_env=False) as api:
        issued = (await api.post("/v1/stream-tickets")).raise_for_status().json()
    return f"{url}/v1/stream?{urlencode({'ticket': issued['ticket'], 'types': 'stock.*'})}"


@asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that is killed in the end, with the processes that it has started: `node` of a wheel is one that starts
    another."""
    quiet, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=quiet, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def npm_eventsource(programs: Path, url: str, key: str) -> AsyncIterator[Watcher]:
    """The package `eventsource` of npm, in Node.js."""
    watcher = Watcher()
    async with running(TOOLS / "bin/node", programs / "listen.mjs", await ticket(url, key)) as process:

        async def read() -> None:
            assert process.stdout is not None
            async for line in process.stdout:
                watcher.told(json.loads(line))

        reading = asyncio.create_task(read())
        yield watcher
        reading.cancel()


@asynccontextmanager
async def python_httpx_sse(url: str, key: str) -> AsyncIterator[Watcher]:
    """Python's `httpx-sse`, as its readme has it: every item is read as JSON."""
    watcher = Watcher()
    headers = {"Authorization": f"Bearer {key}"}

    async def follow() -> None:
        cursor: dict[str, str] = {}
        timeout = httpx.Timeout(PATIENCE_SECONDS)
        async with httpx.AsyncClient(headers=headers, timeout=timeout, verify=NO_TLS, trust_env=False) as client:
            while True:
                with suppress(httpx.TransportError):
                    stream = aconnect_sse(client, "GET", f"{url}/v1/stream?types=stock.*", headers=cursor)
                    async with stream as source:
                        watcher.told({"opened": True})
                        async for item in source.aiter_sse():
                            data = item.json()
                            cursor = {"Last-Event-ID": item.id}
                            if item.event == "event.accepted":
                                watcher.told({"heard": data["id"]})
                await asyncio.sleep(0.1)

    following = asyncio.create_task(follow())
    yield watcher
    assert not following.done(), following
    following.cancel()


class Page:
    """The server of a page, by default `page.html`, on an origin of its own, and what browsers that opened it said."""

    def __init__(self, text: str = "") -> None:
        self.text = text or (HERE / "page.html").read_text()
        self.watcher = Watcher()
        self._waiting: dict[int, dict[str, Any]] = {}
        self._next = 0

    async def show(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=self.text, content_type="text/html")

    async def hear(self, request: web.Request) -> web.Response:
        what = await request.json()
        # A browser may send what it says over several connections.
        self._waiting[what.pop("place")] = what
        while self._next in self._waiting:
            self.watcher.told(self._waiting.pop(self._next))
            self._next += 1
        return web.Response(status=204)

    @asynccontextmanager
    async def served(self, port: int) -> AsyncIterator[str]:
        """Its origin."""
        app = web.Application()
        app.add_routes([web.get("/", self.show), web.post("/said", self.hear)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
        await runner.cleanup()


@asynccontextmanager
async def chromium(profile: Path, page: Page, port: int, url: str, key: str) -> AsyncIterator[Watcher]:
    """Chromium with the page open."""
    browser = shutil.which("chromium")
    assert browser is not None
    async with page.served(port) as origin:
        shown = f"{origin}/?{urlencode({'hub': url, 'key': key})}"
        async with running(browser, *CHROMIUM, f"--user-data-dir={profile}", shown):
            yield page.watcher
