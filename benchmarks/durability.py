"""What is lost of the accepted events, with each store setting, when a process is killed, the power goes, or a replica
takes over.

    sudo unshare --mount python -m benchmarks.durability [--seconds 6] [--only sqlite,always,everysec]

A hub accepts events one by one from 16 clients that note each 202. Then the fault: the server of the store is killed
with SIGKILL; or it is, and its file system (a loopback ext4) is shut down without writing what is in the page cache, as
when the power goes; or the primary is killed and a replica that was cut off for the last second takes over. After the
store is back, every noted event is asked for. Needs root and a mount namespace of its own, for the file system.
"""

import argparse
import asyncio
import fcntl
import os
import struct
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import random

import httpx

from tests.faults.hub import Hub
from tests.faults.toxic_proxy import ToxicProxy
from tests.redis_servers import VALKEY, RedisServer

CLIENTS = 16
CUT_OFF_SECONDS = 1.0
"""How far behind the replica is that takes over."""
BACK_SECONDS = 30.0
_EXT4_SHUTDOWN = 0x8004587D
"""https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/include/uapi/linux/ext4.h"""
_WITHOUT_FLUSHING = 2

Fault = Callable[[], Awaitable[float]]
"""Happens, and is over when the store is back; gives the instant at which the store died."""
SNAPSHOTS = "3600 1 300 100 60 10000"
"""The `save` that Redis has by default."""
PERSISTENCE = {
    "always": {"appendonly": "yes", "appendfsync": "always"},
    "everysec": {"appendonly": "yes", "appendfsync": "everysec"},
    "no": {"appendonly": "yes", "appendfsync": "no"},
    "snapshots": {"appendonly": "no", "save": SNAPSHOTS},
}


@dataclass
class Journal:
    """Events that were answered 202, each with the instant of its answer, and how many were answered otherwise."""

    accepted: list[tuple[str, float]] = field(default_factory=list)
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Toll:
    """What a fault cost: the events that were accepted before and after it, those answered otherwise, those lost, and
    how many seconds before the store died the first of them was accepted."""

    per_second: float
    accepted: int
    refused: int
    lost: int
    reach_seconds: float


class Disk:
    """An ext4 in a file, whose power can be cut."""

    def __init__(self, directory: Path) -> None:
        self.image = directory / "disk.img"
        self.path = directory / "disk"

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.path], check=True)

    def cut_power(self) -> None:
        """Forget what was written and not synced; nobody may have a file open there afterwards."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _EXT4_SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING))
        finally:
            os.close(folder)

    def restore_power(self) -> None:
        self.unmount()
        self.mount()


@contextmanager
def disk(directory: Path) -> Iterator[Disk]:
    made = Disk(directory)
    made.path.mkdir()
    with made.image.open("wb") as image:
        image.truncate(1 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", made.image], check=True)
    made.mount()
    try:
        yield made
    finally:
        made.unmount()


async def publish(hub: Hub, journal: Journal, stopped: asyncio.Event) -> None:
    """Publish one event after the other until told to stop, or the hub is gone."""
    async with hub.client(timeout=5) as client:
        while not stopped.is_set():
            try:
                answer = await client.post("/v1/events", json={"type": "drill.tick", "data": "x" * 300})
            except httpx.TransportError:
                await asyncio.sleep(0.01)
                continue
            if answer.status_code == 202:
                journal.accepted.append((answer.json()["id"], time.monotonic()))
            else:
                journal.refused += 1
                await asyncio.sleep(0.01)


@asynccontextmanager
async def load(hub: Hub) -> AsyncIterator[Journal]:
    """Publishes go on until the block ends; what is under way then is waited for, and noted if accepted."""
    journal, stopped = Journal(), asyncio.Event()
    clients = [asyncio.create_task(publish(hub, journal, stopped)) for _ in range(CLIENTS)]
    yield journal
    stopped.set()
    await asyncio.gather(*clients)


async def missing(hub: Hub, journal: Journal) -> list[tuple[str, float]]:
    """Which of the accepted events the hub does not know."""
    gone: list[tuple[str, float]] = []
    left = iter(journal.accepted)

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=hub.url, headers=hub.client().headers, timeout=10) as client:
            for event_id, at in left:
                answer = await client.get(f"/v1/events/{event_id}")
                if answer.status_code == 404:
                    gone.append((event_id, at))
                else:
                    answer.raise_for_status()

    await asyncio.gather(*(ask() for _ in range(8)))
    return gone


async def recovered(hub: Hub) -> None:
    """Return once the hub answers for its store again."""
    async with asyncio.timeout(BACK_SECONDS), hub.client(timeout=5) as client:
        while True:
            try:
                if (await client.get("/v1/events", params={"limit": 1})).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def toll(hub: Hub, seconds: float, fault: Fault) -> Toll:
    """Let the hub accept events for about `seconds`, then let the fault happen, and count."""
    async with load(hub) as journal:
        # Syncs that come once a second must not always come at the same distance from the fault.
        patience = seconds + random()
        await asyncio.sleep(patience)
        rate = len(journal.accepted) / patience
        died = await fault()
    await recovered(hub)
    gone = await missing(hub, journal)
    reach = max((died - answered for _, answered in gone), default=0.0)
    return Toll(rate, len(journal.accepted), journal.refused, len(gone), reach)


async def over_sqlite(directory: Path, seconds: float, power: bool) -> Toll:
    with disk(directory) as volume:
        hub = Hub(directory / "hub", {"data_dir": str(volume.path / "data")})
        await hub.start()
        try:

            async def fault() -> float:
                await hub.kill()
                died = time.monotonic()
                if power:
                    volume.cut_power()
                    volume.restore_power()
                await hub.start()
                return died

            return await toll(hub, seconds, fault)
        finally:
            await hub.kill()


async def over_redis(directory: Path, seconds: float, power: bool, settings: dict[str, str]) -> Toll:
    with disk(directory) as volume, RedisServer(VALKEY, volume.path / "redis", **settings) as server:
        hub = Hub(directory / "hub", {"store_url": server.url()})
        await hub.start()
        try:

            async def fault() -> float:
                server.kill()
                died = time.monotonic()
                if power:
                    volume.cut_power()
                    volume.restore_power()
                server.start()
                return died

            return await toll(hub, seconds, fault)
        finally:
            await hub.kill()


async def over_replica(directory: Path, seconds: float, waited: int) -> Toll:
    """The primary dies while its replica is cut off, and the hub is pointed at the replica."""
    settings = PERSISTENCE["everysec"]
    with (
        RedisServer(VALKEY, directory / "primary", **settings) as primary,
        RedisServer(VALKEY, directory / "replica", **settings) as replica,
    ):
        async with ToxicProxy(primary.port) as link:
            await asyncio.to_thread(replica.replicate, primary, port=link.port)
            hub = Hub(directory / "hub", {"store_url": primary.url("bench"), "redis_wait_replicas": str(waited)})
            await hub.start()
            try:

                async def fault() -> float:
                    link.stall()
                    await asyncio.sleep(CUT_OFF_SECONDS)
                    primary.kill()
                    died = time.monotonic()
                    await hub.kill()
                    replica.ask("REPLICAOF", "NO", "ONE")
                    hub.settings["store_url"] = replica.url("bench")
                    await hub.start()
                    return died

                return await toll(hub, seconds, fault)
            finally:
                await hub.kill()


def row(name: str, fault: str, found: Toll) -> None:
    reach = f"{found.reach_seconds:.1f} s before" if found.lost else "–"
    numbers = (f"{number:,.0f}" for number in (found.per_second, found.accepted, found.refused, found.lost))
    print(f"| {name} | {fault} | {' | '.join(numbers)} | {reach} |", flush=True)


async def measure(name: str, seconds: float) -> None:
    faults = ("killed", "power cut")
    if name.startswith("replica"):
        with tempfile.TemporaryDirectory(prefix="durability-") as place:
            waited = int(name == "replica-waited")
            row(name, "failover", await over_replica(Path(place), seconds, waited))
        return
    for power, fault in enumerate(faults):
        with tempfile.TemporaryDirectory(prefix="durability-") as place:
            if name == "sqlite":
                found = await over_sqlite(Path(place), seconds, bool(power))
            else:
                found = await over_redis(Path(place), seconds, bool(power), PERSISTENCE[name])
            row(name, fault, found)


async def main(names: list[str], seconds: float) -> None:
    print("| store | fault | accepted/s | accepted | refused | lost | from |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        await measure(name, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--only", default=",".join(["sqlite", *PERSISTENCE, "replica", "replica-waited"]))
    chosen = parser.parse_args()
    asyncio.run(main(chosen.only.split(","), chosen.seconds))
