"""`hub store`: commands about the store as a whole."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.checks import MIB, database_path
from hub.cli.client import ClientError
from hub.cli.configuration import load_settings
from hub.cli.connection import AsJson, err, out, print_json
from hub.cli.packages import resolve
from hub.cli.progress import showing_progress
from hub.cli.serve import DataDir
from hub.clock import SystemClock
from hub.errors import HubError
from hub.telemetry.log import configure

_SQLITE = "sqlite:///"

store = typer.Typer(
    no_args_is_help=True, help="Move everything from one store to another, and make a database smaller."
)


@store.callback()
def _group() -> None:
    """Move everything from one store to another, and make a database smaller."""


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
        with showing_progress(clock) as show:
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


@store.command()
def compact(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Give the space that removed events took back to the disk, while no hub runs.

    Use it after a large purge, or after shortening HUB_RETENTION: the database keeps that space for new events, and
    does not shrink by itself. It needs as much free space as the database has in use.
    """
    database = database_path(load_settings(data_dir=data_dir))
    if database is None:
        raise ClientError("This store is on a server, which keeps no space for itself: there is nothing to compact.")
    run: Callable[..., tuple[int, int]] = resolve("hub.stores.sqlite.database.snapshot:compact_database")
    try:
        before, after = run(database, SystemClock())
    except HubError as error:
        raise ClientError(error.detail) from None
    if as_json:
        print_json({"bytes_before": before, "bytes_after": after})
    else:
        out.print(f"{database} had {before // MIB:,} MiB, and has {after // MIB:,} MiB now.")
