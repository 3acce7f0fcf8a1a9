"""Copying from the command line: counted, told of while it lasts, and one clear line where it cannot be."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from hub.cli.store import LINE_SECONDS, _Bars, _Lines
from hub.clock import SystemClock
from hub.stores import open_store
from tests.clock import ManualClock
from tests.hub.cli.commands import Hub
from tests.hub.stores.samples import publish
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
    assert ran.err.splitlines()[-1].startswith("hub: This is not the address of a store.")


def test_without_a_terminal_a_section_is_told_of_at_its_ends_and_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ManualClock()
    lines = _Lines(clock)
    for done in range(10):
        lines.show("events", done, 9)
        clock.advance(LINE_SECONDS / 4)
    lines.show("tasks", 0, 5)
    assert capsys.readouterr().err.splitlines() == [
        *("events: 0 of 9", "events: 4 of 9", "events: 8 of 9", "events: 9 of 9"),
        "tasks: 0 of 5",
    ]


def test_on_a_terminal_each_section_has_a_bar() -> None:
    progress = Progress(console=Console(file=io.StringIO(), force_terminal=True))
    bars = _Bars(progress)
    for section, done in (("events", 3), ("events", 5), ("tasks", 1)):
        bars.show(section, done, 9)
    shown = [(bar.description, bar.completed, bar.total) for bar in progress.tasks]
    assert shown == [("events", 5, 9), ("tasks", 1, 9)]
