"""Copying from the command line: counted, told of while it lasts, and one clear line where it cannot be."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from hub.clock import SystemClock
from hub.stores import open_store
from hub.stores.sqlite.database.opening import exclusive
from hub.testing.stores.samples import publish
from tests.hub.cli.commands import Hub
from tests.hub.telemetry.restored import restored_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The command sets the logging of its process."""
    with restored_logging():
        yield


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """A store with three events."""
    url = f"sqlite:///{tmp_path / 'old.db'}"

    async def fill() -> None:
        async with open_store(url, SystemClock()) as store:
            for _ in range(3):
                await publish(store, "sub_1")

    asyncio.run(fill())
    return url


def test_everything_is_copied_and_counted_and_what_comes_next_is_said(hub: Hub, filled: str, tmp_path: Path) -> None:
    ran = hub("store", "copy", "--from", filled, "--to", f"sqlite:///{tmp_path / 'new.db'}")
    assert ran.status == 0
    assert "3 events\n" in ran.out
    assert ran.out.splitlines()[-1].startswith("Next: start the hub with HUB_STORE_URL")
    assert "events: 0 of 3\n" in ran.err
    assert "events: 3 of 3\n" in ran.err


def test_programs_are_given_the_counts_as_json(hub: Hub, filled: str, tmp_path: Path) -> None:
    ran = hub("store", "copy", "--from", filled, "--to", f"sqlite:///{tmp_path / 'new.db'}", "--json")
    told = json.loads(ran.out)
    assert (ran.status, told["copied"]["events"]) == (0, 3)
    assert told["seconds"] >= 0


def test_a_file_that_is_not_there_is_not_made(hub: Hub, tmp_path: Path) -> None:
    ran = hub("store", "copy", "--from", f"sqlite:///{tmp_path / 'none.db'}", "--to", "redis://127.0.0.1:1")
    assert (ran.status, ran.err) == (1, f"hub: There is no database at {tmp_path / 'none.db'}.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_destination_that_cannot_be_used_is_one_clear_line(hub: Hub, filled: str) -> None:
    ran = hub("store", "copy", "--from", filled, "--to", "mongo://127.0.0.1")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith("hub: The address of a store, such as HUB_STORE_URL, must")


def test_a_database_gives_back_what_was_removed(hub: Hub, tmp_path: Path) -> None:
    database = tmp_path / "var" / "hub.db"

    async def fill() -> None:
        async with open_store(f"sqlite:///{database}", SystemClock()) as store:
            for _ in range(20):
                await publish(store, "sub_1", data=b'"' + b"x" * 200_000 + b'"')
            await store.upkeep.trim_feed(SystemClock().now(), 0, 1_000)

    asyncio.run(fill())
    connection = apsw.Connection(str(database))
    connection.execute("DELETE FROM attempts; DELETE FROM deliveries; DELETE FROM events").fetchall()
    connection.close()
    ran = hub("store", "compact", "--json")
    told = json.loads(ran.out)
    assert (ran.status, told["bytes_after"] < 1_000_000 < told["bytes_before"]) == (0, True)
    assert database.stat().st_size == told["bytes_after"]


def test_a_database_in_use_is_not_compacted(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    with exclusive(tmp_path / "var" / "hub.db"):
        (tmp_path / "var" / "hub.db").touch()
        ran = hub("store", "compact")
    assert (ran.status, "in use by another hub" in ran.err) == (1, True)


def test_where_there_is_no_file_nothing_is_compacted(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = hub("store", "compact")
    assert (ran.status, "There is no database at" in ran.err) == (1, True)
    monkeypatch.setenv("HUB_STORE_URL", "redis://127.0.0.1:1")
    ran = hub("store", "compact")
    assert (ran.status, "nothing to compact" in ran.err) == (1, True)
