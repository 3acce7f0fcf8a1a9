"""Accepts and deliveries per second of one process on the embedded store, beside a bare FastAPI route in the same run.

    python -m benchmarks.throughput [--events 4000] [--clients 64]

Durability: SQLite WAL with `synchronous=FULL`; every 202 follows an fsync. Load generator and receiver share the cores.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import orjson

from benchmarks.load import Answers, Receiver, fire, post

KEY = "benchmark-key-0123456789012345678901"
ORDER = {
    "order_id": "1001",
    "total": "99.90",
    "currency": "EUR",
    "customer": {"id": "c1", "name": "Ada Lovelace", "email": "ada@example.com"},
    "items": [{"sku": "SKU-1", "name": "Tea", "quantity": 2, "unit_price": "49.95"}],
}
BARE = """
from fastapi import FastAPI, Request
from pydantic import BaseModel
app = FastAPI()
class Event(BaseModel):
    type: str
    data: dict
@app.post("/v1/events", status_code=202)
async def accept(request: Request):
    await request.body()
    return {"status": "accepted"}
@app.post("/v1/model", status_code=202)
async def accept_model(event: Event):
    return {"status": "accepted"}
"""


class Server:
    """A process that listens on a port of loopback."""

    def __init__(self, command: list[str], port: int, ready: str, **environment: str) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}{ready}").status_code < 500:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"did not start: {' '.join(command)}")
            time.sleep(0.05)

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


def order(number: int) -> bytes:
    return orjson.dumps({"type": "order.created", "data": {**ORDER, "order_id": str(number)}})


def bare_fastapi(port: int, directory: Path) -> Server:
    (directory / "bare.py").write_text(BARE)
    uvicorn = ["uvicorn", "bare:app", "--port", str(port), "--no-access-log", "--app-dir", str(directory)]
    return Server([sys.executable, "-m", *uvicorn], port, "/openapi.json")


def hub(port: int, directory: Path) -> Server:
    return Server(
        [str(Path(sys.executable).with_name("hub")), "serve", "--port", str(port), "--data-dir", str(directory)],
        port,
        "/readyz",
        HUB_ADMIN_KEY=KEY,
        HUB_ALLOW_PRIVATE_TARGETS="127.0.0.0/8",
        HUB_LOG_LEVEL="warning",
    )


def subscribe(port: int, target: int, number: int) -> None:
    for place in range(number):
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/subscriptions",
            headers={"Authorization": f"Bearer {KEY}"},
            json={
                "name": f"receiver {place}",
                "event_types": ["order.*"],
                "channel": "webhook",
                "target": {"url": f"http://127.0.0.1:{target}/hook/{place}"},
                "max_in_flight": 50,
            },
        )
        answer.raise_for_status()


async def accept(server: Server, requests: list[bytes], clients: int) -> tuple[Answers, float]:
    """The answers, and microseconds of the server's CPU a request."""
    before = server.cpu_seconds
    answers = await fire(server.port, requests, clients=clients)
    return answers, (server.cpu_seconds - before) / len(requests) * 1e6


async def deliver(port: int, requests: list[bytes], clients: int, deliveries: int) -> tuple[Answers, float]:
    """Publish, and wait until all is delivered; gives the answers and deliveries per second from the first request."""
    Receiver.received = 0
    started = time.perf_counter()
    answers = await fire(port, requests, clients=clients)
    while Receiver.received < deliveries:
        await asyncio.sleep(0.01)
        if time.perf_counter() - started > 120:
            raise SystemExit(f"only {Receiver.received} of {deliveries} arrived")
    return answers, deliveries / (time.perf_counter() - started)


def line(name: str, answers: Answers, extra: str = "") -> None:
    print(
        f"{name:37} {answers.per_second:7.0f}/s  p50 {answers.quantile_ms(0.5):6.1f} ms"
        f"  p99 {answers.quantile_ms(0.99):6.1f} ms  {len(answers.unexpected)} unexpected  {extra}"
    )


async def measure_accepting(directory: Path, requests: list[bytes], clients: int) -> None:
    bare = bare_fastapi(8_391, directory)
    await fire(bare.port, requests[:500], clients=clients)
    baseline, cpu = await accept(bare, requests, clients)
    line("bare FastAPI route, reads the body", baseline, f"{cpu:.0f} us CPU each")
    as_model = [request.replace(b"/v1/events", b"/v1/model", 1) for request in requests]
    modelled, cpu = await accept(bare, as_model, clients)
    line("bare FastAPI route, takes a model", modelled, f"{cpu:.0f} us CPU each")
    bare.stop()
    server = hub(8_392, directory / "accept")
    await fire(server.port, requests[:500], clients=clients)
    accepted, cpu = await accept(server, requests, clients)
    ratios = [accepted.per_second / other.per_second for other in (baseline, modelled)]
    line(
        "hub accepts, FULL, no subscription",
        accepted,
        f"{cpu:.0f} us CPU each, {ratios[0]:.2f}, {ratios[1]:.2f} of these",
    )
    server.stop()


async def measure_delivering(
    label: str, directory: Path, target: int, requests: list[bytes], events: int, subscriptions: int = 1
) -> None:
    server = hub(8_393, directory / label)
    subscribe(server.port, target, subscriptions)
    Receiver.ids.clear()
    before, deliveries = server.cpu_seconds, events * subscriptions
    answers, rate = await deliver(server.port, requests, 32, deliveries)
    cpu = (server.cpu_seconds - before) / deliveries * 1e6
    numbers = f"{rate:.0f} deliveries/s, {cpu:.0f} us CPU each, {server.resident_mb:.0f} MB"
    line(label, answers, f"{numbers}, {len(Receiver.ids)} of {events} events, {Receiver.received} arrivals")
    server.stop()


async def run(events: int, clients: int) -> None:
    singles = [post("/v1/events", order(n), KEY) for n in range(events)]
    batches = [
        post("/v1/events", b"[" + b",".join(order(b * 100 + n) for n in range(100)) + b"]", KEY)
        for b in range(events // 100)
    ]
    receiver = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    target = receiver.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        await measure_accepting(directory, singles, clients)
        await measure_delivering("single, 1 subscription", directory, target, singles, events)
        await measure_delivering("batches of 100, 3 subscriptions", directory, target, batches, events, 3)
        Receiver.delay = 0.05
        await measure_delivering("burst of 1,500, receiver takes 50 ms", directory, target, singles[:1_500], 1_500)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--clients", type=int, default=64)
    chosen = parser.parse_args()
    asyncio.run(run(chosen.events, chosen.clients))
