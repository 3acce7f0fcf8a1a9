"""A backup is of one instant, private, checked, and goes back only to where nothing is."""

import asyncio
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

import apsw
import orjson
import pytest

from hub.clock import SystemClock
from hub.errors import Conflict, HubError
from hub.maintenance.backup import DATABASE, MANIFEST, back_up, read_manifest, restore
from hub.models import Record
from hub.settings import Settings
from hub.stores import open_store
from hub.stores.sqlite.database.snapshot import newest_schema
from hub.testing.clock import ManualClock
from hub.testing.stores.samples import TENANT, publish
from tests.api_support import open_api, settings_for
from tests.redis_servers import RedisServer
from tests.releases.opening import LATER, RELEASES, SECRET_KEY, read_json

SECRET = "s" * 40


def to_nobody(section: str, done: int, total: int) -> None:
    """Nobody watches."""


async def fill(url: str, events: int = 3) -> None:
    async with open_store(url, SystemClock()) as store:
        for _ in range(events):
            await publish(store, "sub_1")
        await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")])


async def use(url: str) -> None:
    async with open_store(url, SystemClock()) as store:
        await store.records.write([Record("subscription", TENANT, "sub_2", b"{}")])


async def totals(url: str) -> dict[str, int]:
    async with open_store(url, SystemClock()) as store:
        return dict(await store.transfer.totals())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory as a hub that was stopped leaves it."""
    data_dir = tmp_path / "var"
    data_dir.mkdir()
    for name in ("admin.key", "secret.key"):
        (data_dir / name).write_text(name * 5)
    (data_dir / "files" / "acme").mkdir(parents=True)
    (data_dir / "files" / "acme" / "orders.jsonl").write_text("{}\n")
    (data_dir / "files" / "acme" / "elsewhere").symlink_to("/etc/hostname")
    (data_dir / "tmp").mkdir()
    (data_dir / "tmp" / "half").write_text("x")
    settings = Settings(data_dir=data_dir)
    asyncio.run(fill(settings.store_url))
    return settings


@pytest.fixture
def backup(settings: Settings, tmp_path: Path) -> Path:
    back_up(settings, tmp_path / "backup", SystemClock(), to_nobody)
    return tmp_path / "backup"


@contextmanager
def writing(url: str) -> Iterator[None]:
    """A store that is open and written to without a pause."""
    stop, written = Event(), Event()

    async def write() -> None:
        async with open_store(url, SystemClock()) as store:
            while not stop.is_set():
                await publish(store, "sub_1", "sub_2")
                written.set()

    thread = Thread(target=lambda: asyncio.run(write()))
    thread.start()
    assert written.wait(30)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_everything_that_cannot_be_made_again_is_in_it_and_private(backup: Path) -> None:
    held = {path.relative_to(backup).as_posix(): path for path in backup.rglob("*") if path.is_file()}
    assert set(held) == {DATABASE, MANIFEST, "admin.key", "secret.key", "files/acme/orders.jsonl"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in held.values()} == {0o600}
    folders = [backup, *(path for path in backup.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_it_goes_back_as_it_was(backup: Path, settings: Settings, tmp_path: Path) -> None:
    other = Settings(data_dir=tmp_path / "other")
    restore(other, backup, SystemClock(), to_nobody)
    assert asyncio.run(totals(other.store_url)) == asyncio.run(totals(settings.store_url))
    assert (other.data_dir / "secret.key").read_text() == "secret.key" * 5
    assert (other.data_dir / "files" / "acme" / "orders.jsonl").read_text() == "{}\n"
    assert not list(other.data_dir.glob("*.partial"))


def test_a_database_that_is_written_to_is_copied_as_of_one_instant(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    with writing(settings.store_url):
        back_up(settings, tmp_path / "backup", SystemClock(), to_nobody)
    counts = asyncio.run(totals(f"sqlite:///{tmp_path / 'backup' / DATABASE}"))
    assert counts["events"] > 0
    assert counts["deliveries"] == 2 * counts["events"]


def test_a_directory_with_something_in_it_is_not_taken(backup: Path, settings: Settings) -> None:
    with pytest.raises(Conflict, match="is not empty"):
        back_up(settings, backup, SystemClock(), to_nobody)


def test_where_there_is_no_database_there_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="There is no database at"):
        back_up(Settings(data_dir=tmp_path / "none"), tmp_path / "backup", SystemClock(), to_nobody)


@pytest.mark.parametrize("name", ["admin.key", "secret.key", "files", DATABASE])
def test_a_place_with_something_in_it_is_left_alone(name: str, backup: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / name).write_text("mine")
    with pytest.raises(Conflict, match=name):
        restore(Settings(data_dir=other), backup, SystemClock(), to_nobody)
    assert [path.name for path in other.iterdir()] == [name]


@pytest.mark.parametrize("damage", ["lost", "changed", "no manifest", "not a manifest"])
def test_a_backup_that_is_not_whole_is_refused(damage: str, backup: Path, tmp_path: Path) -> None:
    match damage:
        case "lost":
            (backup / "secret.key").unlink()
        case "changed":
            with (backup / DATABASE).open("r+b") as file:
                file.seek(100)
                file.write(b"\xa5")
        case "no manifest":
            (backup / MANIFEST).unlink()
        case _:
            (backup / MANIFEST).write_text("{}")
    with pytest.raises(HubError, match=r"whole|damaged|cannot be read"):
        restore(Settings(data_dir=tmp_path / "other"), backup, SystemClock(), to_nobody)
    assert not (tmp_path / "other").exists()


def altered(backup: Path, **members: object) -> None:
    manifest = orjson.loads((backup / MANIFEST).read_bytes())
    (backup / MANIFEST).write_bytes(orjson.dumps({**manifest, **members}))


def test_a_backup_of_a_newer_version_is_refused(backup: Path, tmp_path: Path) -> None:
    altered(backup, db_schema=999, hub_version="9.0.0")
    with pytest.raises(HubError, match=r"newer version of the hub, 9\.0\.0 \(schema 999"):
        restore(Settings(data_dir=tmp_path / "other"), backup, SystemClock(), to_nobody)


def test_a_manifest_reaches_nothing_outside_of_its_directory(backup: Path) -> None:
    altered(backup, files={"../var/secret.key": {"bytes": 1, "sha256": ""}})
    with pytest.raises(HubError, match="outside"):
        read_manifest(backup)


def test_a_key_of_the_settings_has_to_be_there_again(settings: Settings, tmp_path: Path) -> None:
    given = settings.model_copy(update={"secret_key": Settings(secret_key=SECRET).secret_key})
    manifest = back_up(given, tmp_path / "backup", SystemClock(), to_nobody)
    assert SECRET not in manifest.model_dump_json()
    with pytest.raises(HubError, match="HUB_SECRET_KEY"):
        restore(Settings(data_dir=tmp_path / "other"), tmp_path / "backup", SystemClock(), to_nobody)
    restore(Settings(data_dir=tmp_path / "other", secret_key=SECRET), tmp_path / "backup", SystemClock(), to_nobody)


def test_a_server_is_backed_up_and_restored_while_no_hub_runs(valkey: RedisServer, tmp_path: Path) -> None:
    source = Settings(data_dir=tmp_path / "var", store_url=valkey.url("source"))
    asyncio.run(fill(source.store_url))
    backup = tmp_path / "backup"
    back_up(source, backup, SystemClock(), to_nobody)
    assert [path.name for path in sorted(backup.iterdir())] == [DATABASE, MANIFEST]
    wanted = asyncio.run(totals(source.store_url))
    for target in (
        Settings(data_dir=tmp_path / "a", store_url=valkey.url("target")),
        Settings(data_dir=tmp_path / "b"),
    ):
        restore(target, backup, SystemClock(), to_nobody)
        assert asyncio.run(totals(target.store_url)) == wanted
    asyncio.run(use(valkey.url("target")))
    used = Settings(data_dir=tmp_path / "c", store_url=valkey.url("target"))
    with pytest.raises(Conflict, match="one of the two stores was used since"):
        restore(used, backup, SystemClock(), to_nobody)


def test_a_damaged_database_makes_no_backup(settings: Settings, tmp_path: Path) -> None:
    path = settings.data_dir / "hub.db"
    connection = apsw.Connection(str(path))
    connection.pragma("wal_checkpoint")
    connection.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * 16_384)
    with pytest.raises(HubError, match="damaged"):
        back_up(settings, tmp_path / "backup", SystemClock(), to_nobody)
    assert list((tmp_path / "backup").iterdir()) == []


@pytest.mark.parametrize("release", RELEASES, ids=lambda folder: folder.name)
async def test_an_installation_of_an_earlier_release_is_backed_up_upgraded_and_can_go_back(
    release: Path, tmp_path: Path
) -> None:
    # As the guide "Operate" has it: the backup is made by the new version, before its first start.
    old = settings_for(tmp_path / "old", secret_key=SECRET_KEY)
    shutil.copytree(release, old.data_dir, ignore=shutil.ignore_patterns("*.rdb", "*.json"))
    expected = read_json(release / "expected.json")["sqlite"]
    at = ManualClock(datetime.fromisoformat(expected["written_at"]) + LATER)
    await asyncio.to_thread(back_up, old, tmp_path / "backup", at, to_nobody)
    assert read_manifest(tmp_path / "backup").db_schema <= newest_schema()
    restored = settings_for(tmp_path / "restored", secret_key=SECRET_KEY)
    await asyncio.to_thread(restore, restored, tmp_path / "backup", at, to_nobody)
    shown = []
    for settings in (old, restored):
        async with open_api(settings, at) as api, api.client(expected["keys"]["acme"]) as acme:
            shown.append((await acme.get("/v1/events")).raise_for_status().json()["items"])
            assert [one for one in api.process.core.catalogue.every_subscription() if one.view().missing_secrets] == []
    assert shown[0] == shown[1] != []
