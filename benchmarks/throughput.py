"""Accepts and deliveries per second of one process on the embedded store, beside a bare FastAPI route in the same run.

    python -m benchmarks.throughput [--events 4000] [--clients 64]

Durability: SQLite WAL with `synchronous=FULL`; every 202 follows an fsync. Load generator and receiver share the cores.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.hubs import KEY, Server, hub, order, subscribe
from benchmarks.load import Answers, Receiver, deliver, fire, post

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


def bare_fastapi(port: int, directory: Path) -> Server:
    (directory / "bare.py").write_text(BARE)
    uvicorn = ["uvicorn", "bare:app", "--port", str(port), "--no-access-log", "--app-dir", str(directory)]
    return Server([sys.executable, "-m", *uvicorn], port, "/openapi.json")


async def accept(server: Server, requests: list[bytes], clients: int) -> tuple[Answers, float]:
    """The answers, and microseconds of the server's CPU a request."""
    before = server.cpu_seconds
    answers = await fire(server.port, requests, clients=clients)
    return answers, (server.cpu_seconds - before) / len(requests) * 1e6


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
    server = hub("serve", 8_392, directory / "accept")
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
    server = hub("serve", 8_393, directory / label)
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
        burst = singles[:1_500]
        await measure_delivering("burst, receiver takes 50 ms", directory, target, burst, len(burst))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--clients", type=int, default=64)
    chosen = parser.parse_args()
    asyncio.run(run(chosen.events, chosen.clients))
