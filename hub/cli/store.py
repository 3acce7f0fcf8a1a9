"""`hub store`: commands about the store as a whole."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Task as Bar

from hub.cli.client import ClientError
from hub.cli.connection import AsJson, err, out, print_json
from hub.cli.packages import resolve
from hub.clock import Clock, SystemClock
from hub.errors import HubError
from hub.telemetry.log import configure

LINE_SECONDS = 5.0
"""Between lines of progress, where there is no terminal."""
_SQLITE = "sqlite:///"

Show = Callable[[str, int, int], None]

store = typer.Typer(no_args_is_help=True, help="Move everything from one store to another.")


@store.callback()
def _group() -> None:
    """Move everything from one store to another."""


@store.command()
def copy(
    source: Annotated[
        str, typer.Option("--from", envvar="HUB_COPY_FROM", metavar="URL", help="The store to copy from.")
    ],
    destination: Annotated[
        str, typer.Option("--to", envvar="HUB_COPY_TO", metavar="URL", help="The empty store to copy to.")
    ],
    as_json: AsJson = False,
) -> None:
    """Copy everything to another store, while no hub runs on either.

    Use it to move from SQLite to Redis, or back. Stop every process of the hub, and run one copy at a time. When it is
    interrupted, the same command continues from there.
    """
    # Opening a database that is not there would create it, and a wrong path would look like an empty store.
    if source.startswith(_SQLITE) and not Path(source.removeprefix(_SQLITE)).exists():
        raise ClientError(f"There is no database at {source.removeprefix(_SQLITE)}.")
    configure("warning", "auto")
    clock = SystemClock()
    started = clock.monotonic()
    run: Callable[..., Coroutine[Any, Any, Mapping[str, int]]] = resolve("hub.maintenance.copy:copy")
    try:
        with _showing_progress(clock) as show:
            totals = asyncio.run(run(source, destination, clock, show))
    except KeyboardInterrupt:
        err.print("Stopped. The same command continues from here.")
        raise
    except HubError as error:
        raise ClientError(error.detail) from None
    _report(totals, clock.monotonic() - started, as_json=as_json)


def _report(totals: Mapping[str, int], seconds: float, *, as_json: bool) -> None:
    if as_json:
        print_json({"copied": totals, "seconds": round(seconds, 3)})
        return
    for name, count in totals.items():
        out.print(f"{count:>12,} {name}")
    out.print(f"Everything is copied, and the counts of both stores agree, after {seconds:,.1f} s.")
    out.print("Next: start the hub with HUB_STORE_URL set to the new store, and with the same HUB_SECRET_KEY.")


@contextmanager
def _showing_progress(clock: Clock) -> Iterator[Show]:
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
