"""How far a command has come is told in bars on a terminal, and in lines elsewhere."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from hub.cli.progress import LINE_SECONDS, _Bars, _Lines
from hub.testing.clock import ManualClock


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
