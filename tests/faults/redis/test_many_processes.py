"""The whole installation at work: many processes of each role under honcho, while workers, a scheduler and the server
die, and everything is accounted for."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.drill import LEASE_SECONDS, Drill
from tests.faults.listeners import Follower, listening
from tests.faults.patience import until
from tests.faults.publisher import Publisher
from tests.faults.receiver_process import ReceiverProcess
from tests.faults.redis.honcho import HonchoHub
from tests.redis_servers import RedisServer

FORMATION = {"web": 2, "worker": 3, "scheduler": 2}
EVENTS = int(os.environ.get("HUB_DRILL_EVENTS", "20000"))
BATCH = 100
FROZEN_SECONDS = 15.0
"""Longer than it takes until others do what a frozen worker held, after trouble with the server too."""


@pytest.fixture
async def hub(server: RedisServer, tmp_path: Path) -> AsyncIterator[HonchoHub]:
    """Two web, three worker and two scheduler processes, not started yet."""
    settings = {"store_url": server.url(), "lease": str(LEASE_SECONDS), "stream_max_age": "3600"}
    hub = HonchoHub(tmp_path / "hub", settings, FORMATION)
    yield hub
    await hub.kill()


@pytest.fixture
async def drill(
    store: str, server: RedisServer, receiver: ReceiverProcess, hub: HonchoHub, tmp_path: Path
) -> AsyncIterator[Drill]:
    async with Publisher(hub, tmp_path / "acked.jsonl") as publisher:
        yield Drill(store, hub, receiver, publisher, server)


async def publish(drill: Drill, events: int) -> None:
    """Publish half of the events one by one, and half in batches, to both web processes."""
    await asyncio.gather(
        drill.publisher.publish_many(events // 2, clients=8),
        *(publish_batches(drill, events // 2 // BATCH // 2) for _ in range(2)),
    )


async def publish_batches(drill: Drill, count: int) -> None:
    for _ in range(count):
        await drill.publisher.publish_batch(BATCH)


async def freeze_a_worker(hub: HonchoHub, spared: set[int]) -> None:
    """Freeze a worker, which is spared meanwhile, until its results come too late."""
    pid = next(pid for pid in hub.pids("worker") if pid not in spared)
    spared.add(pid)
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(FROZEN_SECONDS)
    os.kill(pid, signal.SIGCONT)


async def kill_workers(hub: HonchoHub, done: asyncio.Event, spared: set[int]) -> int:
    """Kill one worker every few seconds until it is done; gives how many."""
    chance, killed = random.Random(7), 0
    while not done.is_set():
        await asyncio.sleep(chance.uniform(1, 4))
        if pids := [pid for pid in hub.pids("worker") if pid not in spared]:
            os.kill(chance.choice(pids), signal.SIGKILL)
            killed += 1
    return killed


async def missed(hub: HonchoHub, follower: Follower) -> list[str]:
    """What is wrong with what a listener heard on both web processes, against one that hears all of it at once."""
    async with listening(hub.processes[0], 1, last_event_id="earliest") as (witness,):
        await witness.quiet()
        last = witness.events[-1]

        async def caught_up() -> bool:
            return bool(follower.events and follower.events[-1] >= last)

        await until(caught_up, 60)
        heard = [entry for entry in follower.events if entry <= last]
        return [] if heard == witness.events else ["a listener missed something, or heard it twice"]


@pytest.mark.drill
@pytest.mark.timeout(1_800)
async def test_every_delivery_is_accounted_for_while_workers_a_scheduler_and_the_server_die(
    drill: Drill, hub: HonchoHub
) -> None:
    """Red without fencing, without takeover, or when any process gives up after a lost connection."""
    assert drill.server is not None
    await hub.start()
    for lane in ("one", "two", "three"):
        await drill.subscribe(lane, max_in_flight=50)
    follower, done = Follower(hub.processes), asyncio.Event()
    following = asyncio.create_task(follower.follow())
    spared: set[int] = set()
    killing = asyncio.create_task(kill_workers(hub, done, spared))
    publishing = asyncio.create_task(publish(drill, EVENTS))
    await drill.receiver.arrived(EVENTS // 4, within=300, every=1)
    os.kill(hub.pids("scheduler")[0], signal.SIGKILL)
    await drill.receiver.arrived(EVENTS // 2, within=300, every=1)
    await asyncio.to_thread(drill.server.stop)
    await asyncio.to_thread(drill.server.start)
    await drill.receiver.arrived(EVENTS, within=300, every=1)
    freezing = asyncio.create_task(freeze_a_worker(hub, spared))
    follower.leave()
    await publishing
    await drill.receiver.arrived(2 * EVENTS, within=600, every=1)
    done.set()
    killed = await killing
    await freezing
    await drill.drained(120)
    verdict = await drill.verdict("many-processes", complaints=await missed(hub, follower))
    following.cancel()
    assert verdict.passed, verdict
    assert verdict.delivered == verdict.acked * 3 == EVENTS * 3
    assert verdict.dup <= (killed + 1) * 3 * 50 + 3 * 3 * 50
    assert follower.streams > 1
