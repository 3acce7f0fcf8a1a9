"""A hub is killed in its work, moved to a server by a copy that is killed again and again, and goes on."""

import asyncio
import json
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from hub.stores.redis.transfer.importer import _EVENTS
from hub.testing.patience import PATIENCE_SECONDS, soon
from tests.faults.conftest import on_sqlite
from tests.faults.drill import LEASE_SECONDS, Drill
from tests.faults.hub import ROLES, Hub
from tests.faults.hub_process import COMMAND, HubDied, environment
from tests.faults.listeners import listening
from tests.faults.patience import until
from tests.faults.toxic_proxy import ToxicProxy
from tests.redis_servers import RedisServer

KILLS = 6
EVENTS = 400


def start_copy(directory: Path, source: str, destination: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "store", "copy", "--from", source, "--to", destination, "--json"],
        cwd=directory,
        env=environment(directory, {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def killed_while_it_copies(directory: Path, source: str, destination: str) -> bool:
    """Start a copy and kill it at a random moment of its work; False if it was done before."""
    copying = start_copy(directory, source, destination)
    assert copying.stderr is not None
    # The first line says that it has begun; what it does before is to load its libraries.
    await asyncio.to_thread(copying.stderr.readline)
    await asyncio.sleep(random.uniform(0, 0.1))
    done = copying.poll() is not None
    copying.kill()
    await asyncio.to_thread(copying.communicate)
    return not done and copying.returncode == -signal.SIGKILL


async def interrupted(directory: Path, source: str, destination: str, port: int) -> None:
    """Start a copy that does not hear whether its events were written, and kill it there."""
    async with ToxicProxy(port) as proxy:
        proxy.lose_answer(_EVENTS.digest.encode())
        copying = start_copy(directory, source, destination.replace(f":{port}", f":{proxy.port}"))
        await soon(proxy.lost.wait())
        proxy.cut()
        copying.kill()
        await asyncio.to_thread(copying.communicate)


async def hangs(drill: Drill, lane: str) -> bool:
    """Whether the hub waits for answers that it will not get: as delivered, they would be what nobody took."""
    return sum(not arrival.status for arrival in drill.receiver.arrivals(lane)) >= 10


@pytest.fixture
async def moved(drill: Drill, valkey: RedisServer, tmp_path: Path) -> AsyncIterator[Hub]:
    """The hub as it is after the move: each role a process of its own, with the keys of the one that was."""
    settings = {**drill.hub.settings, "store_url": valkey.url(), "lease": str(LEASE_SECONDS)}
    hub = Hub(drill.hub.directory, settings, ROLES)
    yield hub
    await hub.kill()


@on_sqlite
@pytest.mark.drill
@pytest.mark.timeout(300)
async def test_a_hub_that_was_killed_at_work_goes_on_where_it_was_moved_to(
    drill: Drill, moved: Hub, valkey: RedisServer
) -> None:
    """Red when a piece is written without its place, when what was being sent is moved as delivered, or without a
    lease, when idempotency keys stay behind, or when the feed's ids begin anew."""
    directory = drill.hub.directory
    source, destination = f"sqlite:///{directory / 'data' / 'hub.db'}", moved.settings["store_url"]
    await drill.hub.start()
    for lane in ("ok", "slow", "down"):
        await drill.subscribe(lane, max_in_flight=20)
    await drill.receiver.behave("down", status=500)
    await drill.receiver.behave("slow", delay=0.3)
    async with listening(drill.hub, 1, last_event_id="earliest") as (listener,):
        published = await drill.publisher.publish_many(EVENTS, clients=8)
        await drill.receiver.behave("slow", status=0)
        await until(partial(hangs, drill, "slow"), PATIENCE_SECONDS)
        await drill.hub.kill()
        await listener.ended()
    waiting = drill.receiver.arrivals("slow")

    await interrupted(directory, source, destination, valkey.port)
    with pytest.raises(HubDied, match="unfinished copy"):
        await moved.processes[0].start()
    kills = 0
    while kills < KILLS and await killed_while_it_copies(directory, source, destination):
        kills += 1
    copying = start_copy(directory, source, destination)
    said, complaints = await asyncio.to_thread(copying.communicate)
    assert copying.returncode == 0, complaints
    assert json.loads(said)["copied"]["deliveries"] == 3 * EVENTS
    assert len(waiting) < EVENTS

    for lane in ("slow", "down"):
        await drill.receiver.behave(lane)
    drill.hub, drill.server = moved, valkey
    await moved.start()
    async with moved.client() as api:
        again = await api.post(
            "/v1/events",
            content=json.dumps({"type": "drill.tick", "data": {"n": published[0].number}}),
            headers={"Content-Type": "application/json", "Idempotency-Key": f"drill-{published[0].number}"},
        )
    assert again.status_code == 202, again.text
    assert again.json()["id"] == published[0].event_id
    last = listener.events[-1][0]
    async with listening(moved, 1, last_event_id=listener.cursor) as (resumed,):
        await resumed.told(EVENTS)
        assert [cursor for cursor, _ in resumed.events[:EVENTS]] == list(range(last + 1, last + 1 + EVENTS))
        assert "gap" not in {name for _, name in resumed.events}
    async with moved.client() as api:
        assert "had lost" not in (await api.get("/readyz")).text
    verdict = await drill.verdict("move", drain_within=60)
    assert verdict.passed, verdict
    assert (verdict.acked, verdict.delivered) == (EVENTS, 3 * EVENTS)
