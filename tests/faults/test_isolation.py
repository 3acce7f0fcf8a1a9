"""Drills F37, F38, F49 and a backlog: a bad neighbour, a long outage, too few descriptors, too much to keep in mind."""

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import Drill, record
from tests.faults.oracle import Verdict, percentile
from tests.faults.patience import until
from tests.faults.publisher import Acked

NOISE_SECONDS = 0.05
BUSY_SECONDS = 5.0
"""What other programs may add to a latency on a machine that runs tests beside; what hangs, hangs for longer."""
IMPORT_SECONDS = 3.0
"""What the start of one process takes on a busy machine with nothing to look at."""


def p99(drill: Drill, acked: Sequence[Acked], lanes: Sequence[str]) -> float:
    """The 99th percentile of seconds from the client's 202 to the arrival at these lanes."""
    began = {event.event_id: event.at for event in acked}
    arrivals = drill.receiver.arrivals()
    taken = [max(0.0, a.at - began[a.webhook_id]) for a in arrivals if a.lane in lanes and a.webhook_id in began]
    assert len(taken) >= len(acked) * len(lanes)
    return percentile(taken, 0.99)


async def one_bad_neighbour(drill: Drill, *, lanes: int, rate: float, seconds: float, noise: float) -> Verdict:
    """Publish to so many subscriptions, first all healthy, then with one that hangs and one that answers 500."""
    await drill.hub.start()
    healthy = [f"healthy-{number}" for number in range(lanes - 2)]
    for lane in [*healthy, "hangs", "fails"]:
        await drill.subscribe(lane)
    baseline = p99(drill, await publish_for(drill, rate, seconds), healthy)
    await drill.receiver.behave("hangs", status=0)
    await drill.receiver.behave("fails", status=500)
    troubled = p99(drill, await publish_for(drill, rate, seconds), healthy)
    verdict = Verdict("F37", drill.store, acked=len(drill.publisher.acked), p99_other_ms=round(troubled * 1_000, 1))
    if troubled > max(2 * baseline, baseline + noise):
        verdict.complaints.append(f"I4 the others' p99 went from {baseline:.3f} s to {troubled:.3f} s")
    record(verdict)
    return verdict


async def publish_for(drill: Drill, rate: float, seconds: float) -> list[Acked]:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    acked = await drill.publisher.publish_at(rate, done)
    lanes = [lane for lane in drill.lanes if lane.startswith("healthy")]
    events = {event.event_id for event in acked}

    async def all_arrived() -> bool:
        arrivals = {(a.webhook_id, a.lane) for a in drill.receiver.arrivals() if a.webhook_id in events}
        return sum(lane in lanes for _, lane in arrivals) == len(events) * len(lanes)

    await until(all_arrived, PATIENCE_SECONDS)
    return acked


async def test_f37_a_target_that_hangs_does_not_slow_the_others_down(drill: Drill) -> None:
    """Red when all attempts share one pool: those that hang take all of it."""
    drill.hub.settings["max_in_flight"] = "8"
    verdict = await one_bad_neighbour(drill, lanes=8, rate=8, seconds=3, noise=BUSY_SECONDS)
    assert verdict.passed, verdict


@pytest.mark.drill
@pytest.mark.timeout(300)
async def test_f37_one_hanging_target_among_a_hundred_does_not_slow_the_others_down(drill: Drill) -> None:
    """Red when all attempts share one pool: those that hang take all of it."""
    verdict = await one_bad_neighbour(drill, lanes=100, rate=3, seconds=20, noise=NOISE_SECONDS)
    assert verdict.passed, verdict


async def come_back_after_an_outage(drill: Drill, backlog: int) -> None:
    await drill.hub.start()
    await drill.subscribe("back", max_in_flight=20, retry_schedule=[1] * 50)
    await drill.receiver.behave("back", status=503)
    await drill.publisher.publish_many(backlog, clients=20)
    await drill.receiver.arrived(10)
    await asyncio.sleep(0.5)
    outage = len(drill.receiver.arrivals())
    await drill.receiver.behave("back", delay=3)
    await drill.receiver.arrived(outage + 1)
    await asyncio.sleep(0.1)
    probes = len(drill.receiver.arrivals()) - outage
    await drill.receiver.behave("back", delay=0.02)
    verdict = await drill.verdict("F38", drain_within=2 * PATIENCE_SECONDS)
    peak = max(arrival.in_flight for arrival in drill.receiver.arrivals())
    assert verdict.passed, verdict
    assert outage <= 40, "the breaker let an outage be knocked at"
    assert probes == 1
    assert peak <= 20
    assert verdict.dup == 0


async def test_f38_a_target_that_comes_back_is_probed_and_not_stampeded(drill: Drill) -> None:
    """Red without the breaker: all that waited would come at once."""
    await come_back_after_an_outage(drill, 200)


@pytest.mark.drill
@pytest.mark.timeout(300)
async def test_f38_a_target_that_comes_back_to_a_long_backlog_is_not_stampeded(drill: Drill) -> None:
    """Red without the breaker: all that waited would come at once."""
    await come_back_after_an_outage(drill, 5_000)


async def test_f49_with_few_descriptors_idle_connections_make_room_and_nothing_is_lost(drill: Drill) -> None:
    """Red when connections are taken without a limit: the store and the channels would have no descriptors left."""
    drill.hub.settings["max_in_flight"] = "32"
    await drill.hub.start(wrapper=["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh"])
    await drill.subscribe("ok")
    address = ("127.0.0.1", drill.hub.web.port)
    with ExitStack() as stack:
        for _ in range(300):
            idle = stack.enter_context(socket.create_connection(address, PATIENCE_SECONDS))
            idle.sendall(b"GET /livez HTTP/1.1\r\nHost: hub\r\n\r\n")
        await drill.publisher.publish_many(50, clients=5)
        assert drill.hub.web.descriptors() < 256
    verdict = await drill.verdict("F49")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (50, 0)


@pytest.mark.drill
@pytest.mark.timeout(600)
async def test_a_backlog_of_two_hundred_thousand_costs_disk_and_not_memory(drill: Drill) -> None:
    """Red when what waits is kept in memory, or starting up reads it."""
    backlog, batch = 200_000, 1_000
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        await drill.hub.start()
        await drill.publisher.publish_many(200)
        idle_mb, idle_p99 = drill.hub.rss_mb(), percentile([a.seconds for a in drill.publisher.acked], 0.99)
        await drill.subscribe(
            "dead", target={"url": f"http://127.0.0.1:{dead.getsockname()[1]}/"}, retry_schedule=[600] * 5
        )
        async with drill.hub.client() as api:
            for _ in range(backlog // batch):
                (await api.post("/v1/events", json=[{"type": "drill.tick", "data": {}}] * batch)).raise_for_status()
        before = len(drill.publisher.acked)
        await drill.publisher.publish_many(200)
        full_mb = drill.hub.rss_mb()
        full_p99 = percentile([a.seconds for a in drill.publisher.acked[before:]], 0.99)
        await drill.hub.kill()
        seconds = await drill.hub.start()
        started = time.monotonic()
        async with drill.hub.client() as api:
            stats = (await api.get("/v1/stats")).json()
        verdict = Verdict("backlog", drill.store, acked=backlog, stuck=0, rss_mb=round(full_mb, 1))
        verdict.p99_other_ms = round(full_p99 * 1_000, 1)
        if full_mb > idle_mb * 1.2 + 50:
            verdict.complaints.append(f"I5 memory went from {idle_mb:.0f} to {full_mb:.0f} MiB")
        if full_p99 > max(2 * idle_p99, idle_p99 + NOISE_SECONDS):
            verdict.complaints.append(f"accepting took {full_p99:.3f} s instead of {idle_p99:.3f} s")
        if seconds > 2 + IMPORT_SECONDS * len(drill.hub.processes):
            verdict.complaints.append(f"starting took {seconds:.1f} s")
        if stats["pending"] < backlog - 1_000 or time.monotonic() - started > 2:
            verdict.complaints.append(f"only {stats['pending']} are waiting, or counting them took long")
        record(verdict)
        assert verdict.passed, verdict
