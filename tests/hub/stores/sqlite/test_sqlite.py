"""Opening: one hub a file, nothing readable by others, and plain words where it cannot be used."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import apsw
import pytest

from hub.errors import HubError, Unavailable
from hub.stores import open_store
from hub.stores.sqlite.database import opening
from hub.testing.clock import ManualClock
from hub.testing.patience import soon
from hub.testing.stores import OpenStore
from hub.testing.stores.samples import TENANT, batch, entry, event, publish

ROOT = Path(__file__).parents[4]


async def refusal(url: str, clock: ManualClock) -> str:
    with pytest.raises(HubError) as refused:
        async with open_store(url, clock):
            pass
    return refused.value.detail


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://hub.db"])
async def test_an_address_without_a_path_is_refused_with_the_form_it_should_have(url: str, clock: ManualClock) -> None:
    assert "sqlite:///relative/path" in await refusal(url, clock)


async def test_a_relative_path_is_taken_from_the_working_directory(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store("sqlite:///var/a%20b/hub.db", clock):
        assert (tmp_path / "var" / "a%20b" / "hub.db").exists()


async def test_only_the_owner_may_read_what_is_created(clock: ManualClock, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    before = os.umask(0)
    try:
        async with open_store(f"sqlite:///{folder / 'hub.db'}", clock) as store:
            await publish(store)
            modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    finally:
        os.umask(before)
    assert modes.pop("new") == 0o700
    assert set(modes) == {"hub.db", "hub.db-wal", "hub.db-shm", "hub.db.lock", "hub.reserve"}
    assert set(modes.values()) == {0o600}
    (folder / "hub.db").chmod(0o644)
    async with open_store(f"sqlite:///{folder / 'hub.db'}", clock):
        assert (folder / "hub.db").stat().st_mode & 0o777 == 0o600


async def test_a_database_in_use_is_refused_naming_the_process_and_free_again_afterwards(
    opened: OpenStore, url: str, clock: ManualClock
) -> None:
    await opened.open()
    detail = await refusal(url, clock)
    assert f"process {os.getpid()}" in detail
    assert "HUB_DATA_DIR" in detail
    await opened.reopen()


async def test_a_folder_that_cannot_be_written_is_refused_with_the_reason(clock: ManualClock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "hub.db").mkdir()
    assert "File exists" in await refusal(f"sqlite:///{tmp_path / 'file' / 'hub.db'}", clock)
    assert "Is a directory" in await refusal(f"sqlite:///{tmp_path / 'hub.db'}", clock)


async def test_a_damaged_page_is_found_at_the_start_and_the_refusal_says_what_to_do(
    opened: OpenStore, url: str, clock: ManualClock, tmp_path: Path
) -> None:
    store = await opened.open()
    await store.intake.accept(batch(*(entry(event(), ["sub_1"], index=n) for n in range(1_000))))
    await opened.close()
    path = tmp_path / "hub.db"
    whole = path.read_bytes()
    middle = len(whole) // 8192 * 4096
    path.write_bytes(whole[:middle] + os.urandom(4096) + whole[middle + 4096 :])
    assert "backup" in await refusal(url, clock)
    path.write_bytes(whole)
    store = await opened.open()
    assert len(await store.feed.read(0, 2_000)) == 1_000


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    opened: OpenStore, url: str, clock: ManualClock, tmp_path: Path
) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(b"not a database, but somebody's notes" * 1_000)
    assert "damaged" in await refusal(url, clock)
    assert path.read_bytes().startswith(b"not a database")


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 7"])
async def test_the_database_of_another_program_is_refused_and_left_as_it_is(
    opened: OpenStore, url: str, clock: ManualClock, tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "hub.db"
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()
    before = path.read_bytes()
    assert "another program" in await refusal(url, clock)
    assert path.read_bytes() == before


@pytest.mark.process
async def test_while_another_process_locks_the_database_writes_are_refused_in_bounded_time_and_reads_go_on(
    opened: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.5)
    store = await opened.open()
    kept = await publish(store)
    command = (sys.executable, "-m", "tests.hub.stores.sqlite.database.holding", str(tmp_path / "hub.db"))
    holder = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"locked\n"
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await soon(publish(store))
    assert time.monotonic() - began > 0.4
    assert refused.value.retry_after
    assert await store.archive.event(TENANT, kept.id) == kept
    holder.stdin.close()
    await holder.wait()
    assert len(await store.feed.read(0, 10)) == 1
    await publish(store)
    assert list(await store.upkeep.check()) == []
