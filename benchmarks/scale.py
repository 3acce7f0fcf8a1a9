"""Deliveries per second where web and workers are processes of their own over Valkey, beside one process over SQLite in
the same run; with the round trips, the processor time and the memory that a delivery costs.

    python -m benchmarks.scale [--events 6000] [--workers 1,2] [--syncs everysec,always]

Load generator, receiver, Valkey and all processes of the hub share the machine's cores. Round trips are the answers
that Valkey wrote, to idle connections too; memory is what `used_memory` grew by once all is delivered. These and the
processor time are for a delivery, or for an event where nobody subscribed.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.hubs import KEY, Server, cpu_seconds, hub, order, subscribe
from benchmarks.load import Answers, Receiver, deliver, post
from tests.redis_servers import VALKEY, RedisServer, free_port

COLUMNS = (
    *("events", "hub", "accepted/s", "p50 ms", "p99 ms"),
    *("deliveries/s", "CPU µs each", "round trips", "bytes", "not 202"),
)
CLIENTS = 32
WARM_UP = 200
SETTLE_SECONDS = 1.5
"""Until the last results are in the store."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How events come, and for how many subscriptions."""

    name: str
    subscriptions: int
    events_each: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The processes of one hub, and its Valkey where it has one. `web` takes the requests."""

    name: str
    web: Server
    workers: tuple[Server, ...]
    valkey: RedisServer | None

    def costs(self) -> dict[str, float]:
        """What was used so far: processor seconds by part, answers, bytes."""
        used = {"web": self.web.cpu_seconds, "workers": sum(worker.cpu_seconds for worker in self.workers)}
        if self.valkey is None:
            return used
        stats, memory = self.valkey.info("stats"), self.valkey.info("memory")
        numbers = {"answers": float(stats["total_writes_processed"]), "bytes": float(memory["used_memory"])}
        return {**used, **numbers, "valkey": cpu_seconds(self.valkey.pid)}


Start = Callable[[Path], AbstractContextManager[Fleet]]
SINGLE = Shape("single, no subscription", 0, 1)
SHAPES = (SINGLE, Shape("single, 1 subscription", 1, 1), Shape("batches of 100, 3 subscriptions", 3, 100))


@contextmanager
def stopping(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def on_sqlite(directory: Path) -> Iterator[Fleet]:
    with stopping(hub("serve", free_port(), directory)) as server:
        yield Fleet("SQLite, one process", server, (), None)


@contextmanager
def on_valkey(directory: Path, *, sync: str, workers: int) -> Iterator[Fleet]:
    with ExitStack() as stack:
        valkey = stack.enter_context(RedisServer(VALKEY, directory / "valkey", appendfsync=sync))
        url = valkey.url("bench")

        def start(role: str, name: str) -> Server:
            return stack.enter_context(stopping(hub(role, free_port(), directory / name, store_url=url)))

        web = start("web", "web")
        running = tuple(start("worker", f"worker-{number}") for number in range(workers))
        yield Fleet(f"Valkey {sync}, web and {workers} worker{'s'[: workers - 1]}", web, running, valkey)


def requests(shape: Shape, events: int) -> list[bytes]:
    if shape.events_each == 1:
        return [post("/v1/events", order(number), KEY) for number in range(events)]
    size = shape.events_each
    bodies = (b",".join(order(first + n) for n in range(size)) for first in range(0, events, size))
    return [post("/v1/events", b"[" + body + b"]", KEY) for body in bodies]


def row(fleet: Fleet, shape: Shape, answers: Answers, rate: float, spent: dict[str, float], each: int) -> None:
    """Print what was measured; `each` is what the costs are divided by."""
    cpu = ", ".join(
        f"{part} {spent[part] / each * 1e6:.0f}" for part in ("web", "workers", "valkey") if spent.get(part)
    )
    trips = f"{spent['answers'] / each:.2f}" if "answers" in spent else "–"
    size = f"{spent['bytes'] / each:,.0f}" if "bytes" in spent else "–"
    waits = " | ".join(f"{answers.quantile_ms(quantile):.0f}" for quantile in (0.5, 0.99))
    accepted = f"{answers.per_second * shape.events_each:,.0f}"
    delivered = f"{rate:,.0f}" if rate else "–"
    print(
        f"| {shape.name} | {fleet.name} | {accepted} | {waits} | {delivered} | {cpu} | {trips} | {size} "
        f"| {len(answers.unexpected)} |",
        flush=True,
    )


async def measure(fleet: Fleet, shape: Shape, target: int, events: int) -> None:
    subscribe(fleet.web.port, target, shape.subscriptions)
    await deliver(fleet.web.port, requests(SINGLE, WARM_UP), CLIENTS, WARM_UP * shape.subscriptions)
    await asyncio.sleep(SETTLE_SECONDS)
    deliveries = events * shape.subscriptions
    before = fleet.costs()
    answers, rate = await deliver(fleet.web.port, requests(shape, events), CLIENTS, deliveries)
    await asyncio.sleep(SETTLE_SECONDS)
    spent = {name: used - before[name] for name, used in fleet.costs().items()}
    row(fleet, shape, answers, rate, spent, deliveries or events)


async def run(events: int, workers: list[int], syncs: list[str]) -> None:
    receiver = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    target = receiver.sockets[0].getsockname()[1]
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    spread = (partial(on_valkey, sync=sync, workers=number) for sync in syncs for number in workers)
    fleets: list[Start] = [on_sqlite, *spread]
    for shape in SHAPES:
        for start in fleets:
            with tempfile.TemporaryDirectory(prefix="scale-") as place, start(Path(place)) as fleet:
                await measure(fleet, shape, target, events)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=6_000)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--syncs", default="everysec,always")
    chosen = parser.parse_args()
    asyncio.run(run(chosen.events, [int(n) for n in chosen.workers.split(",")], chosen.syncs.split(",")))
