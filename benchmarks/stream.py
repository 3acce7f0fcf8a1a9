"""The live stream with many listeners, beside the usual ways to send Server-Sent Events, measured in the same run.

    python -m benchmarks.stream [--listeners 500] [--events 2000] [--only hub,raw]

Each server is a process of its own under uvicorn with uvloop; this process holds the listeners. `flood` publishes as
fast as the server can; `steady` publishes 100 events a second for five seconds and shows what each event cost the
server for each listener, and how late listeners had it.
"""

import argparse
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import fastapi.sse
import httpx
import uvicorn
from fastapi import FastAPI
from sse_starlette.sse import EventSourceResponse

from hub.app import create_app
from hub.ids import new_id
from hub.models import FeedEntry, FeedKind, Task, TaskStatus
from hub.runtime import Process
from hub.settings import Settings

KEY = "benchmark-key-0123456789012345678901"
FILLER = "x" * 300
"""About what a delivery takes as JSON."""
END = b'x"}'
"""How each event's data ends."""
PROBES = 20
"""Connections whose latency is looked at."""
STEADY_PER_SECOND, STEADY_SECONDS = 100, 5

Publish = Callable[[int], Awaitable[None]]


def document(number: int) -> dict[str, Any]:
    return {"id": f"evt_{number}", "at": time.monotonic(), "filler": FILLER}


class Topic:
    """What rivals are given: one queue a listener."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[Any]] = set()

    async def publish(self, number: int) -> None:
        item = (number, document(number))
        for queue in self.queues:
            queue.put_nowait(item)
        await asyncio.sleep(0)

    async def follow(self) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.queues.discard(queue)


def serve_raw() -> tuple[Any, Publish]:
    """Bare ASGI: a frame encoded once, sent to each; nothing else is looked after."""
    topic = Topic()

    async def publish(number: int) -> None:
        frame = b"id: %d\nevent: e\ndata: %b\n\n" % (number, json.dumps(document(number)).encode())
        for queue in topic.queues:
            queue.put_nowait(frame)
        await asyncio.sleep(0)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b": open\n\n", "more_body": True})
        async for frame in topic.follow():
            await send({"type": "http.response.body", "body": frame, "more_body": True})

    return app, publish


def serve_sse_starlette() -> tuple[Any, Publish]:
    """sse-starlette as its documentation shows it: a dictionary an event."""
    topic = Topic()
    app = FastAPI()

    @app.get("/v1/stream")
    async def stream() -> EventSourceResponse:
        async def events() -> AsyncIterator[dict[str, Any]]:
            yield {"comment": "open"}
            async for number, item in topic.follow():
                yield {"id": str(number), "event": "e", "data": json.dumps(item)}

        return EventSourceResponse(events())

    return app, topic.publish


def serve_fastapi() -> tuple[Any, Publish]:
    """FastAPI's own Server-Sent Events."""
    topic = Topic()
    app = FastAPI()

    @app.get("/v1/stream", response_class=fastapi.sse.EventSourceResponse)
    async def stream() -> AsyncIterator[fastapi.sse.ServerSentEvent]:
        yield fastapi.sse.ServerSentEvent(comment="open")
        async for number, item in topic.follow():
            yield fastapi.sse.ServerSentEvent(data=item, event="e", id=str(number))

    return app, topic.publish


def serve_hub() -> tuple[Any, Publish]:
    """The whole hub; each event is committed to its feed with an fsync."""
    settings = Settings(data_dir=Path(os.environ["BENCHMARK_DIR"]), admin_key=KEY, log_level="error")
    app = create_app(settings)

    async def publish(number: int) -> None:
        process: Process = app.state.process
        now = process.core.clock.now()
        entry = FeedEntry("default", FeedKind.EVENT_ACCEPTED, json.dumps(document(number)).encode(), "order.created")
        task = Task(id=new_id("tsk"), tenant="x", kind="x", status=TaskStatus.COMPLETED, created_at=now, updated_at=now)
        await process.core.store.tasks.save(task, [entry])

    return app, publish


SERVERS = {
    "raw": serve_raw,
    "hub": serve_hub,
    "sse-starlette": serve_sse_starlette,
    "fastapi.sse": serve_fastapi,
}


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1_024


def serve(name: str, port: int) -> None:
    """The child process: a server, and two routes to drive it and to look at it."""
    app, publish = SERVERS[name]()
    running: set[asyncio.Task[None]] = set()

    async def emit(count: int, per_second: int) -> None:
        """At a rate; or, with 0, sixteen at a time as fast as they are taken."""
        begun = time.monotonic()
        step = 1 if per_second else 16
        for number in range(0, count, step):
            if per_second:
                await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            await asyncio.gather(*map(publish, range(number, min(number + step, count))))

    async def driven(scope: Any, receive: Any, send: Any) -> None:
        if not scope.get("path", "").startswith("/control/"):
            await app(scope, receive, send)
            return
        if scope["path"].startswith("/control/emit/"):
            _, _, _, count, per_second = scope["path"].split("/")
            running.add(asyncio.create_task(emit(int(count), int(per_second))))
        body = json.dumps({"cpu": time.process_time(), "kib": resident_kib()}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(
        driven, port=port, loop="uvloop", http="httptools", log_level="critical", access_log=False, backlog=4_096
    )
    uvicorn.Server(config).run()


class Counter:
    """What all listeners received together."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._counts = {"opened": 0, "events": 0}
        self._awaited = ("", 0)
        self._reached = asyncio.Event()

    def add(self, what: str, count: int) -> None:
        self._counts[what] += count
        if what == self._awaited[0] and self._counts[what] >= self._awaited[1]:
            self._reached.set()

    async def reach(self, what: str, count: int, seconds: float) -> int:
        """Wait until there are `count`, or `seconds` have passed. Gives how many, and counts from 0 again."""
        self._reached.clear()
        self._awaited = (what, count)
        self.add(what, 0)
        await asyncio.wait([asyncio.create_task(self._reached.wait())], timeout=seconds)
        found, self._counts[what] = self._counts[what], 0
        return found


class Connection(asyncio.Protocol):
    """One listener that counts and hardly costs anything."""

    def __init__(self, counter: Counter, probe: bool) -> None:
        self._counter = counter
        self._probe = probe
        self._opened = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        request = f"GET /v1/stream HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        transport.write(request.encode())  # type: ignore[attr-defined] # is a transport

    def data_received(self, data: bytes) -> None:
        if not self._opened:
            self._opened = True
            self._counter.add("opened", 1)
        data = self._rest + data
        cut = data.rfind(END) + len(END) if END in data else 0
        whole, self._rest = data[:cut], data[cut:]
        self._counter.add("events", whole.count(END))
        if self._probe:
            now = time.monotonic()
            self._counter.late += [now - float(at) for at in re.findall(rb'"at": ?([0-9.]+)', whole)]


async def measure(port: int, listeners: int, events: int) -> dict[str, float]:
    """Numbers of the server on a port."""
    loop = asyncio.get_running_loop()
    counter = Counter()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

        async def numbers(path: str = "/control/numbers") -> dict[str, float]:
            found: dict[str, float] = (await http.get(path)).json()
            return found

        empty = await numbers()
        made = [
            await loop.create_connection(lambda n=n: Connection(counter, n < PROBES), "127.0.0.1", port)  # type: ignore[misc] # a default binds n
            for n in range(listeners)
        ]
        if await counter.reach("opened", listeners, 30) < listeners:
            raise SystemExit("not all connections opened")
        await asyncio.sleep(1)
        idle = await numbers()

        steady = STEADY_PER_SECOND * STEADY_SECONDS * listeners
        before = await numbers(f"/control/emit/{STEADY_PER_SECOND * STEADY_SECONDS}/{STEADY_PER_SECOND}")
        missing = steady - await counter.reach("events", steady, 60)
        after = await numbers()
        late = sorted(counter.late)

        begun = time.monotonic()
        await numbers(f"/control/emit/{events}/0")
        flooded = await counter.reach("events", events * listeners, 120)
        elapsed = time.monotonic() - begun
        for transport, _ in made:
            transport.close()
    return {
        "kib_idle": (idle["kib"] - empty["kib"]) / listeners,
        "steady_us": 1e6 * (after["cpu"] - before["cpu"]) / steady,
        "p50_ms": 1e3 * late[len(late) // 2],
        "p99_ms": 1e3 * late[int(len(late) * 0.99)],
        "missing": missing + events * listeners - flooded,
        "messages_per_second": flooded / elapsed,
    }


def run(name: str, port: int, listeners: int, events: int) -> dict[str, float]:
    """Start one server, measure it, and stop it."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "benchmarks.stream", "--serve", name, "--port", str(port)]
        server = subprocess.Popen(command, env={**os.environ, "BENCHMARK_DIR": directory})
        try:
            for _ in range(200):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/control/numbers")
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            return asyncio.run(measure(port, listeners, events))
        finally:
            server.kill()
            server.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=500)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--only", default=",".join(SERVERS))
    parser.add_argument("--port", type=int, default=18_095)
    parser.add_argument("--serve", choices=SERVERS)
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    if given.serve:
        serve(given.serve, given.port)
        return
    print(f"{given.listeners} listeners; flood of {given.events} events\n")
    print("| server | messages/s | × raw | µs an event and listener | p50 | p99 | KiB idle | missing |")
    print("|---|---|---|---|---|---|---|---|")
    raw = 0.0
    for place, name in enumerate(given.only.split(",")):
        found = run(name, given.port + place, given.listeners, given.events)
        raw = raw or found["messages_per_second"]
        print(
            f"| {name} | {found['messages_per_second']:,.0f} | {found['messages_per_second'] / raw:.2f} "
            f"| {found['steady_us']:.1f} | {found['p50_ms']:.0f} ms | {found['p99_ms']:.0f} ms "
            f"| {found['kib_idle']:.0f} | {found['missing']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
