"""Drills F25, F26 and F28, of SQLite: the database is locked, the disk is full, a page is damaged."""

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.conftest import HubFactory, on_sqlite
from tests.faults.drill import Drill
from tests.faults.hub import Hub
from tests.faults.hub_process import HubDied

pytestmark = on_sqlite
LOCKER = """
import sys, time, apsw
connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(10_000)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""
TMPFS = 'mount -t tmpfs -o size=48m,mode=700 drill "$0" && exec "$@"'


async def publish_while_locked(drill: Drill, seconds: float) -> list[int]:
    """Lock the database from another process for so long, publish meanwhile, and give what was refused with."""
    await drill.hub.start()
    await drill.subscribe("ok")
    await drill.publisher.publish_many(10)
    database = str(drill.hub.directory / "data" / "hub.db")
    locker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOCKER, database, str(seconds), stdout=asyncio.subprocess.PIPE
    )
    assert locker.stdout is not None
    await locker.stdout.readline()
    await drill.publisher.publish_many(10, clients=10)
    assert await locker.wait() == 0
    return drill.publisher.refusals


async def test_f25_publishing_waits_while_another_process_holds_the_database(drill: Drill) -> None:
    """Red without a busy timeout."""
    assert await publish_while_locked(drill, 1) == []
    verdict = await drill.verdict("F25-wait")
    assert verdict.passed, verdict
    assert verdict.delivered == 20


@pytest.mark.drill
async def test_f25_publishing_is_refused_while_the_database_stays_locked_and_heals(drill: Drill) -> None:
    """Red when a locked database is an internal error, or half an event is kept."""
    refusals = await publish_while_locked(drill, 12)
    assert set(refusals) == {503}
    verdict = await drill.verdict("F25")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (20, 0)


def fill(filler: Path) -> None:
    """Take every free byte of a disk."""
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"\0" * 4_096)
            file.flush()


@pytest.mark.privileged
async def test_f26_a_full_disk_stops_accepting_only_and_heals_by_itself(drill: Drill) -> None:
    """Red without the reserve: results could not be recorded, and what was delivered would be sent again."""
    data = drill.hub.directory / "data"
    data.mkdir(parents=True)
    # In a mount namespace of its own, so that nothing is left behind.
    await drill.hub.start(wrapper=["unshare", "--map-root-user", "--mount", "sh", "-c", TMPFS, str(data)])
    seen = Path(f"/proc/{drill.hub.web.pid}/root{data}")
    await drill.subscribe("ok", retry_schedule=[1] * 30)
    await drill.receiver.behave("ok", status=503)
    await drill.publisher.publish_many(20)
    await drill.receiver.arrived(10)
    await asyncio.to_thread(fill, seen / "filler")
    assert shutil.disk_usage(seen).free < 100_000
    async with drill.hub.client() as api:
        refused = await api.post("/v1/events", json=[{"type": "drill.tick", "data": "x" * 2_000}] * 1_000)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert (await api.get("/readyz")).status_code == 503
        assert len((await api.get("/v1/events")).json()["items"]) == 20
        await drill.receiver.behave("ok")
        await drill.drained(PATIENCE_SECONDS)
        assert (await api.get("/v1/stats")).json()["delivered"] == 20
        (seen / "filler").unlink()
        await drill.publisher.publish_many(20)
        assert (await api.get("/readyz")).status_code == 200
    verdict = await drill.verdict("F26")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (40, 0)


async def refusal(hub: Hub) -> str:
    with pytest.raises(HubDied) as died:
        await hub.start()
    return str(died.value)


async def test_f28_a_damaged_database_is_refused_in_one_clear_line_and_a_backup_heals(drill: Drill) -> None:
    """Red when starting up examines nothing: it would serve, and fail later."""
    await drill.hub.start()
    await drill.subscribe("ok")
    await drill.publisher.publish_many(50)
    await drill.drained(PATIENCE_SECONDS)
    await drill.hub.stop()
    database = drill.hub.directory / "data" / "hub.db"
    backup = shutil.copy(database, drill.hub.directory / "backup")
    with database.open("r+b") as file:
        file.seek(5 * 4_096)
        file.write(os.urandom(4_096))
    said = await refusal(drill.hub)
    assert "is damaged" in said
    assert "backup" in said
    assert "Traceback" not in said
    shutil.copy(backup, database)
    await drill.hub.start()
    verdict = await drill.verdict("F28")
    assert verdict.passed, verdict
    assert verdict.delivered == 50


async def test_f28_a_file_that_is_no_database_is_refused_in_one_clear_line(hub_factory: HubFactory) -> None:
    """Red when the errors of SQLite reach the terminal."""
    hub = hub_factory()
    (hub.directory / "data").mkdir(parents=True)
    (hub.directory / "data" / "hub.db").write_bytes(os.urandom(100_000))
    said = await refusal(hub)
    assert "is damaged" in said
    assert "Traceback" not in said
