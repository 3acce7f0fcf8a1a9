"""`hub backup` and `hub restore`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.client import ClientError
from hub.cli.configuration import load_settings
from hub.cli.connection import AsJson, out, print_json
from hub.cli.packages import resolve
from hub.cli.progress import showing_progress
from hub.cli.serve import DataDir
from hub.clock import SystemClock
from hub.errors import HubError
from hub.settings import Settings
from hub.telemetry.log import configure

MIB = 1024 * 1024


def backup(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that is empty or not there yet.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy the database, the keys and the files into a directory, also while the hub runs.

    Use it every day, and before an update. The copy is that of one instant, readable by its owner only, and has a
    manifest with checksums. A Redis store is copied only while no hub runs on it. Whoever can read a backup can read
    the secrets of targets.
    """
    settings = load_settings(data_dir=data_dir)
    manifest = _run("back_up", settings, directory)
    if as_json:
        print_json(manifest)
        return
    size = sum(file["bytes"] for file in manifest["files"].values())
    out.print(f"{directory} has {len(manifest['files'])} files, {size / MIB:,.1f} MiB.")
    if settings.secret_key:
        out.print("HUB_SECRET_KEY stands in your settings, and is not in it: keep that too.")


def restore(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What `hub backup` wrote.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup back, where no hub runs and nothing is stored yet.

    The data directory must be empty, and so must a Redis store. The backup is checked first, and one of a newer version
    is refused. What was pending in it is sent again, with the `webhook-id` that it had.
    """
    settings = load_settings(data_dir=data_dir)
    manifest = _run("restore", settings, directory)
    if as_json:
        print_json(manifest)
    else:
        out.print(f"The hub of {manifest['created_at']} is restored in {settings.data_dir}. Start it with `hub serve`.")


def _run(name: str, settings: Settings, directory: Path) -> dict[str, Any]:
    """The manifest as JSON values."""
    configure("warning", "auto")
    clock = SystemClock()
    work: Any = resolve(f"hub.maintenance.backup:{name}")
    try:
        with showing_progress(clock) as show:
            manifest: dict[str, Any] = work(settings, directory, clock, show).model_dump(mode="json")
    except HubError as error:
        raise ClientError(error.detail) from None
    except OSError as error:
        raise ClientError(f"{error.filename or directory}: {error.strerror or error}.") from None
    return manifest
