"""Drill F23: the disk of Redis is full."""

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import Drill
from tests.faults.patience import until
from tests.redis_servers import REDIS_7, VALKEY, RedisServer

SMALL_DISK = 'mount -t tmpfs -o size=12m,mode=700 drill "$0" && echo mounted && exec cat'
HEAL_SECONDS = PATIENCE_SECONDS


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Sequence[str]]]:
    """A disk of 12 MB as it is seen from here, and the command that runs its arguments where it is mounted at the
    same path: in a mount namespace of its own, so that nothing is left behind."""
    place = tmp_path / "disk"
    place.mkdir()
    holder = subprocess.Popen(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mounted\n"
        entered = ("nsenter", "--target", str(holder.pid), "--user", "--mount", "--preserve-credentials")
        yield Path(f"/proc/{holder.pid}/root{place}"), entered
        holder.kill()


@pytest.fixture
def server(store: str, disk: tuple[Path, Sequence[str]], tmp_path: Path) -> Iterator[RedisServer]:
    """A running server that keeps its files on the small disk."""
    binary = {"valkey": VALKEY, "redis7": REDIS_7}[store]
    with RedisServer(binary, tmp_path / "redis", wrapper=disk[1], dir=str(tmp_path / "disk")) as server:
        yield server


def fill(filler: Path) -> None:
    """Take every free byte of a disk."""
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4_096):
            pass


@pytest.mark.privileged
async def test_f23_with_a_full_disk_publishing_is_refused_and_heals_when_there_is_room(
    drill: Drill, disk: tuple[Path, Sequence[str]]
) -> None:
    """Red when the refusal of the server is an internal error, or nobody looks at what it answers."""
    assert drill.server is not None
    await drill.hub.start()
    await drill.subscribe("ok")
    await drill.publisher.publish_many(20)
    filler = disk[0] / "filler"
    await asyncio.to_thread(fill, filler)
    done = asyncio.Event()
    publishing = asyncio.create_task(drill.publisher.publish_at(50, done))

    async def refused() -> bool:
        return len(drill.publisher.refusals) >= 20

    await until(refused, HEAL_SECONDS)
    async with drill.hub.client() as api:
        answer = await api.post("/v1/events", json={"type": "drill.other", "data": {}})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert (await api.get("/readyz")).status_code == 503
        filler.unlink()
        done.set()
        await asyncio.wait_for(publishing, HEAL_SECONDS)
        assert set(drill.publisher.refusals) == {503}
        await drill.drained(PATIENCE_SECONDS)
        assert (await api.get("/readyz")).status_code == 200
    # What was promised is on the disk, and not only in memory.
    await asyncio.to_thread(drill.server.kill)
    await asyncio.to_thread(drill.server.start)
    verdict = await drill.verdict("F23")
    assert verdict.passed, verdict
