"""Migrations follow one another without holes, and each happens whole or not at all."""

from pathlib import Path

import apsw
import pytest

from hub.errors import HubError
from hub.stores import open_store
from hub.stores.sqlite.database import opening as database
from tests.clock import ManualClock
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import TENANT, publish


async def refusal(url: str, clock: ManualClock) -> str:
    with pytest.raises(HubError) as refused:
        async with open_store(url, clock):
            pass
    return refused.value.detail


async def test_a_database_of_a_newer_version_is_refused(opened: OpenStore, clock: ManualClock, tmp_path: Path) -> None:
    await opened.open()
    await opened.close()
    connection = apsw.Connection(str(tmp_path / "hub.db"))
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    assert "newer version" in await refusal(opened.url, clock)


def test_migrations_are_numbered_without_holes() -> None:
    folder = Path(database.__file__).with_name("migrations")
    numbers = sorted(int(path.name.split("_")[0]) for path in folder.glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    opened: OpenStore, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await publish(await opened.open())
    await opened.close()
    steps = database.migrations()
    broken = tmp_path / "0002_broken.sql"
    broken.write_text("CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(database, "migrations", lambda: [*steps, broken])
    assert "refused" in await refusal(opened.url, clock)
    monkeypatch.setattr(database, "migrations", lambda: steps)
    store = await opened.open()
    assert await store.archive.event(TENANT, new.id) == new
