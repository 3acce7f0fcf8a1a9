"""`hub serve`: every role in one process."""

import gc
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from hub.cli.connection import err
from hub.client import ClientError
from hub.errors import HubError
from hub.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: HUB_HOST, or 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one. [default: HUB_PORT, or 8000]")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where data is kept. [default: HUB_DATA_DIR, or ./var]")
    ] = None,
) -> None:
    """Run the hub."""
    settings = load_settings(host=host, port=port, data_dir=data_dir)
    # What starting up makes stays, so looking through it for garbage is in vain: the server does so once it serves.
    gc.disable()
    # Resolved by name, because the server's imports take longer than a whole client command does.
    run: Callable[[Settings, Callable[[int], None]], None] = pkgutil.resolve_name("hub.server:serve")
    key_file = settings.data_dir / "admin.key"
    first_start = settings.admin_key is None and not key_file.exists()
    try:
        run(settings, lambda bound: _announce(settings, bound, key_file, first_start=first_start))
    except HubError as error:
        raise ClientError(error.detail) from None
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        raise ClientError(f"Cannot listen on {place}: {error.strerror or error}; choose another --port.") from None


def load_settings(**overrides: Any) -> Settings:
    """The settings, as one clear line where one of them is wrong. Overrides that are None are left out."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        faults = [f"HUB_{'.'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" for fault in error.errors()]
        raise ClientError(f"A setting is wrong: {'; '.join(faults)}.") from None
    except ValueError as error:
        raise ClientError(f"The settings file cannot be read: {error}.") from None


def _announce(settings: Settings, port: int, key_file: Path, *, first_start: bool) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}"
    if first_start:
        err.print(f"Admin key, shown only now: [bold]{escape(key_file.read_text(encoding='utf-8').strip())}[/]")
    where = "HUB_ADMIN_KEY" if settings.admin_key else str(key_file)
    err.print(f"The hub serves [bold]{url}[/]; its admin key is in [bold]{escape(where)}[/].")
    err.print(f"Watch it with [bold]hub tail[/]; its API is at {url}/docs; stop it with Ctrl+C.")
