"""`hub secrets`: the key that the secrets of targets are sealed with."""

import asyncio
import time
from typing import Any

import typer

from hub.cli.checks import database_path
from hub.cli.client import ClientError, HubClient
from hub.cli.configuration import load_settings
from hub.cli.connection import AsJson, Key, Url, connect, err, out, print_json
from hub.cli.packages import resolve
from hub.cli.serve import DataDir
from hub.clock import SystemClock
from hub.errors import HubError
from hub.telemetry.log import configure

LOOK_SECONDS = 0.2
_UNFINISHED = frozenset({"pending", "running"})

secrets = typer.Typer(
    no_args_is_help=True,
    help="Change the key that stored secrets are encrypted with, or go on without one that is lost.",
)


@secrets.command()
def rotate(url: Url = None, key: Key = None, as_json: AsJson = False) -> None:
    """Encrypt the secrets of all targets and sources with a new key, while the hub runs.

    Use it when the key, or a backup with it, may be known to others. A key that the hub made itself is replaced by a
    new one. Otherwise first give every process HUB_SECRET_KEY with the new key and HUB_PREVIOUS_SECRET_KEY with the old
    one, and take the old one away afterwards. When it is interrupted, the hub goes on by itself.
    """
    with connect(url, key) as hub:
        ended = _ended(hub, hub.post("/v1/secrets/rotate"))
    if ended["status"] != "completed":
        raise ClientError(str(ended["error"] or f"The rotation was {ended['status']}; run it again."))
    result: dict[str, int] = ended["result"]
    if as_json:
        print_json(result)
        return
    out.print(f"The secrets of {result['sealed']:,} subscriptions and sources are encrypted with the new key.")
    if result["unreadable"]:
        out.print(f"{result['unreadable']:,} have secrets that no key decrypts: set them again.")


@secrets.command()
def adopt(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Start over with the present HUB_SECRET_KEY or secret.key, or a new one, when the old one is lost.

    Use it only when no backup has the old key, and while no hub runs. Nothing is deleted: subscriptions with secrets
    that cannot be decrypted show `missing_secrets`, and their deliveries are held until the secrets are set again.
    """
    settings = load_settings(data_dir=data_dir)
    database = database_path(settings)
    # Opening a database that is not there would create it, and a wrong directory would look like a way out.
    if database is not None and not database.exists():
        raise ClientError(f"There is no database at {database.absolute()}. Run this where the hub runs.")
    configure("warning", "auto")
    run: Any = resolve("hub.maintenance.secret_loss:adopt")
    try:
        total, unreadable = asyncio.run(run(settings, SystemClock()))
    except HubError as error:
        raise ClientError(error.detail) from None
    except OSError as error:
        raise ClientError(f"{error.filename}: {error.strerror}.") from None
    if as_json:
        print_json({"total": total, "unreadable": unreadable})
    else:
        out.print(
            f"{unreadable:,} of {total:,} subscriptions and sources have secrets to set again."
            " Start the hub with `hub serve`."
        )


def _ended(hub: HubClient, task: dict[str, Any]) -> dict[str, Any]:
    """The task once it has ended; its progress is told on a terminal."""
    while task["status"] in _UNFINISHED:
        time.sleep(LOOK_SECONDS)
        task = hub.get(f"/v1/tasks/{task['id']}")
        if err.is_terminal:
            err.print(f"{task['progress']:3} %", end="\r")
    return task
