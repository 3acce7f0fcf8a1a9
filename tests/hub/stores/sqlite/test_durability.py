"""What was acknowledged is on disk, whatever ends the process."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from hub.models import Status
from hub.stores.base import DeliveryQuery, Store
from hub.testing.stores import OpenStore
from hub.testing.stores.samples import TENANT, task

ROOT = Path(__file__).parents[4]


def start(url: str, failpoints: str = "") -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.hub.stores.sqlite.acking", url, failpoints]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def number_of_events(store: Store) -> int:
    """How many there are, proved to be whole: each has its delivery and its feed entry, and no id is missing."""
    rows = await store.feed.read(0, 100_000)
    assert [row.id for row in rows] == list(range(1, len(rows) + 1))
    counts = await store.archive.counts(TENANT, DeliveryQuery())
    assert counts.get("sub_1", {}).get(Status.PENDING, 0) == len(rows)
    return len(rows)


async def test_after_kill_9_every_acknowledged_event_is_there_and_whole(opened: OpenStore, url: str) -> None:
    acked: set[str] = set()
    for lives in range(3):
        with start(url) as child:
            assert child.stdout is not None
            acked |= {child.stdout.readline().strip() for _ in range(200 * (lives + 1))}
            child.kill()
            # A line may be cut where the process died.
            acked |= {line.strip() for line in child.stdout if line.endswith("\n")}
    store = await opened.open()
    known = {row.entry.event_id for row in await store.feed.read(0, 100_000)}
    assert len(acked) >= 1_200
    assert acked <= known
    assert await number_of_events(store) == len(known)


@pytest.mark.parametrize(("point", "kept"), [("before_commit", 0), ("after_commit", 1)])
async def test_a_crash_at_the_commit_leaves_all_or_nothing_and_acknowledges_nothing(
    opened: OpenStore, url: str, point: str, kept: int
) -> None:
    with start(url, f"{point}:kill") as child:
        assert child.stdout is not None
        output = await asyncio.to_thread(child.stdout.read)
    assert (child.returncode, output) == (-9, "")
    assert (await number_of_events(await opened.open()) > 0) == bool(kept)


@pytest.mark.privileged
async def test_a_full_disk_refuses_what_is_new_records_what_is_under_way_and_heals(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=48m none "$1" && exec "$2" -m tests.hub.stores.sqlite.disk_full "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(disk), sys.executable]
    child = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr


async def test_the_write_ahead_log_stays_small_while_much_is_written_and_read(
    opened: OpenStore, tmp_path: Path
) -> None:
    store = await opened.open()
    log = tmp_path / "hub.db-wal"
    largest = 0
    big = task(result={"text": "x" * 1_000_000})
    for _ in range(80):
        await store.tasks.save(big)
        reading = asyncio.create_task(store.feed.bounds())
        largest = max(largest, log.stat().st_size)
        await reading
    assert largest <= 64 * 1024 * 1024
    await opened.close()
    assert not log.exists()
