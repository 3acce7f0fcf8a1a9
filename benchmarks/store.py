"""What a store by itself takes: accepts, deliveries, and the same with 200,000 deliveries waiting in one lane.

    python -m benchmarks.store [--events 10000] [--stores sqlite,everysec,always]

`everysec` and `always` are a Valkey with this `appendfsync`.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import uvloop

from hub.clock import Clock, SystemClock
from hub.ids import new_id
from hub.models import Attempt, Event, FeedEntry, FeedKind, Outcome, Status
from hub.stores import open_store
from hub.stores.base import Batch, BatchEntry, Claim, ClaimRequest, DeliveryQuery, NewDelivery, Page, Result, Store
from tests.redis_servers import VALKEY, RedisServer

TENANT = "ten_default"
LANES = [f"sub_{n:032x}" for n in range(20)]
BACKLOG_LANE = "sub_backlog"
BACKLOG = 200_000
DATA = b'{"order_id":"o-1","total":"12.00","note":"' + b"y" * 300 + b'"}'
clock: Clock = SystemClock()


def entry(index: int, lane: str) -> BatchEntry:
    now = clock.now()
    event = Event(
        id=new_id("evt"),
        tenant=TENANT,
        type="order.created",
        source="/shop",
        subject=f"orders/{index}",
        time=now,
        data=DATA,
        accepted_at=now,
    )
    feed = FeedEntry(TENANT, FeedKind.EVENT_ACCEPTED, b'{"id":"' + event.id.encode() + b'"}', event.type, event.id)
    return BatchEntry(index, event, (NewDelivery(new_id("dlv"), lane, "webhook"),), feed)


def delivered(claim: Claim) -> Result:
    now = clock.now()
    delivery = claim.delivery.model_copy(update={"status": Status.DELIVERED, "updated_at": now})
    attempt = Attempt(
        number=delivery.attempt_count,
        cause=claim.cause,
        started_at=claim.claimed_at,
        duration_ms=3,
        outcome=Outcome.SUCCEEDED,
        status_code=200,
        response_body="ok",
    )
    kinds = (FeedKind.DELIVERY_ATTEMPTED, FeedKind.DELIVERY_DELIVERED)
    entries = (FeedEntry(TENANT, kind, b"{}" * 70, delivery.event_type, delivery.event_id) for kind in kinds)
    return Result(delivery, attempt, tuple(entries))


async def accepts(store: Store, events: int, tasks: int) -> None:
    latencies: list[float] = []

    async def publish(first: int) -> None:
        for n in range(first, events, tasks):
            batch = Batch(TENANT, (entry(n, LANES[n % len(LANES)]),))
            began = time.perf_counter()
            await store.intake.accept(batch)
            latencies.append(time.perf_counter() - began)

    began, on_loop = time.perf_counter(), time.thread_time()
    await asyncio.gather(*(publish(n) for n in range(tasks)))
    took, on_loop = time.perf_counter() - began, time.thread_time() - on_loop
    latencies.sort()
    print(
        f"accept, {tasks:3} at once: {events / took:7,.0f}/s, {on_loop / events * 1e6:4.0f} µs of the loop each,"
        f" p50 {latencies[events // 2] * 1e3:.1f} ms, p99 {latencies[events * 99 // 100] * 1e3:.1f} ms"
    )


async def deliveries(store: Store) -> None:
    wants, leases = [ClaimRequest(lane, 8) for lane in LANES], dict.fromkeys(LANES, 30.0)
    began, on_loop, count = time.perf_counter(), time.thread_time(), 0
    while claims := (await store.queue.claim(wants, leases)).claims:
        await store.queue.finish([delivered(claim) for claim in claims])
        count += len(claims)
    took, on_loop = time.perf_counter() - began, time.thread_time() - on_loop
    each = f"{count / took:,.0f}/s, {on_loop / count * 1e6:.0f} µs of the loop each"
    print(f"claim and finish, {len(LANES) * 8} at once: {each}")


async def timed(name: str, times: int, work: Callable[[], Awaitable[object]]) -> None:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        took.append((time.perf_counter() - began) * 1e3)
    print(f"{name}: {min(took):.1f} to {max(took):.1f} ms")


async def backlog(store: Store) -> None:
    for _ in range(BACKLOG // 1_000):
        await store.intake.accept(Batch(TENANT, tuple(entry(n, BACKLOG_LANE) for n in range(1_000))))
    print(f"with {BACKLOG:,} waiting in one lane:")
    want = [ClaimRequest(BACKLOG_LANE, 64)]
    await timed("  claim 64", 20, lambda: store.queue.claim(want, {BACKLOG_LANE: 30.0}))
    await timed("  accept one", 20, lambda: store.intake.accept(Batch(TENANT, (entry(0, LANES[0]),))))
    await timed("  due lanes", 20, store.queue.due)
    hour_ago = clock.now() - timedelta(hours=1)
    await timed("  stats", 3, lambda: store.archive.stats(TENANT, hour_ago, None))
    await timed("  list", 3, lambda: store.archive.deliveries(TENANT, DeliveryQuery(), Page()))
    rare = DeliveryQuery(channel="slack")
    await timed("  list that finds nothing", 3, lambda: store.archive.deliveries(TENANT, rare, Page()))


@contextmanager
def place(store: str, directory: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """The address of an empty store, and what tells how many bytes it has."""
    if store == "sqlite":
        file = directory / "hub.db"
        yield f"sqlite:///{file}", lambda: file.stat().st_size
        return
    with RedisServer(VALKEY, directory, appendfsync=store) as server:
        yield server.url("bench"), lambda: int(server.info("memory")["used_memory"])


async def main(events: int, stores: list[str]) -> None:
    for name in stores:
        print(f"-- {name}")
        with tempfile.TemporaryDirectory(prefix="store-") as folder, place(name, Path(folder)) as (url, size):
            async with open_store(url, clock) as store:
                for tasks in (1, 8, 64, 256):
                    await accepts(store, events, tasks)
                held = size()
                await deliveries(store)
                await backlog(store)
            print(f"bytes an event and its delivery, before it is sent: {held / (4 * events):,.0f}")
            began = time.perf_counter()
            async with open_store(url, clock):
                print(f"open with {size() / 2**20:.0f} MiB: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--stores", default="sqlite,everysec,always")
    chosen = parser.parse_args()
    uvloop.run(main(chosen.events, chosen.stores.split(",")))
