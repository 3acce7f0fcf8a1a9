"""`hub serve`: every role in one process; and what it shares with the commands that run one role."""

import gc
from collections.abc import Callable
from pathlib import Path
from socket import gaierror
from typing import Annotated

import typer
from rich.markup import escape

from hub.cli.client import ClientError
from hub.cli.configuration import load_settings
from hub.cli.connection import err
from hub.cli.packages import resolve
from hub.cluster.roles import EVERY_ROLE, Role
from hub.errors import HubError
from hub.settings import Settings, read_key

DataDir = Annotated[
    Path | None, typer.Option(file_okay=False, help="Where data is kept. [default: HUB_DATA_DIR, or ./var]")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: HUB_HOST, or 127.0.0.1]")]


def serve(
    host: Host = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one. [default: HUB_PORT, or 8000]")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the hub, with every role in one process.

    Use it on one machine. Start exactly one on each SQLite database, which is the default store. With a `redis://`
    store, `hub web`, `hub worker` and `hub scheduler` run the roles in processes of their own instead.
    """
    run_roles(load_settings(host=host, port=port, data_dir=data_dir), EVERY_ROLE)


def run_roles(settings: Settings, roles: frozenset[Role], *, processes: int = 1) -> None:
    """Run these roles, in one process or several on one port, until told to stop."""
    # Objects made at the start stay, so collecting them finds nothing; the server turns collection on once it serves.
    gc.disable()
    run: Callable[..., None] = resolve("hub.server.server:serve")
    # Asked before the hub runs, which creates the file.
    first_start = settings.admin_key is None and not _key_file(settings).exists()
    try:
        run(settings, roles, lambda port: _announce(settings, roles, port, first_start), processes=processes)
    except HubError as error:
        raise ClientError(error.detail) from None
    except gaierror as error:
        raise ClientError(f"Cannot listen on {settings.host}: {error.strerror}; correct HUB_HOST or --host.") from None
    except OSError as error:
        port, names = (
            (settings.port, "--port or HUB_PORT")
            if Role.WEB in roles
            else (settings.health_port, "--health-port or HUB_HEALTH_PORT")
        )
        place = f"{settings.host}:{port}"
        raise ClientError(f"Cannot listen on {place}: {error.strerror or error}; choose another {names}.") from None


def _announce(settings: Settings, roles: frozenset[Role], port: int, first_start: bool) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    if settings.sandbox:
        err.print("[bold yellow]Sandbox:[/] nothing is sent; every attempt ends as succeeded (HUB_SANDBOX).")
    if Role.WEB not in roles:
        health = f"; its health is at {url}/readyz" if port else ""
        err.print(f"The hub's {' and '.join(roles)} is running{health}.")
        return
    key_file = _key_file(settings)
    # Not by the console's own judgement, which the environment can overrule: what is no terminal is kept as a log.
    if first_start and err.file.isatty():
        err.print(f"Admin key, shown only now: [bold]{escape(read_key(key_file))}[/]")
    where = "HUB_ADMIN_KEY" if settings.admin_key else str(key_file)
    err.print(f"The hub serves [bold]{url}[/]; its admin key is in [bold]{escape(where)}[/].")
    err.print(f"Watch it with [bold]hub tail[/]; its API is at {url}/docs; stop it with Ctrl+C.")


def _key_file(settings: Settings) -> Path:
    return settings.data_dir / "admin.key"
