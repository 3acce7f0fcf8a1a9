"""How far a long command has come: bars on a terminal, lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Task as Bar

from hub.cli.connection import err
from hub.clock import Clock

LINE_SECONDS = 5.0
"""Between lines, where there is no terminal."""

Show = Callable[[str, int, int], None]


@contextmanager
def showing_progress(clock: Clock) -> Iterator[Show]:
    """Show progress while the block runs: bars on a terminal, otherwise a line every few seconds."""
    if not err.is_terminal:
        yield _Lines(clock).show
        return
    columns = (
        TextColumn("{task.description:12}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=err) as progress:
        yield _Bars(progress).show


class _Bars:
    """One bar for each section."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def show(self, section: str, done: int, total: int) -> None:
        if section not in self._bars:
            self._bars[section] = self._progress.add_task(section, total=total, completed=done)
        self._progress.update(self._bars[section], completed=done)


class _RateColumn(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Bar) -> Any:
        self.text_format = f"{task.speed or task.finished_speed or 0:,.0f}/s"
        return super().render(task)


class _Lines:
    """A line when a section begins and ends, and every few seconds between."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown_at = 0.0
        self._section = ""

    def show(self, section: str, done: int, total: int) -> None:
        now = self._clock.monotonic()
        if section != self._section or done >= total or now - self._shown_at >= LINE_SECONDS:
            err.print(f"{section}: {done:,} of {total:,}")
            self._section, self._shown_at = section, now
