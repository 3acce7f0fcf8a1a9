"""What every client command shares: the options that say which hub and which key, and how results are shown."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from hub.cli.client import ClientError, HubClient, is_local
from hub.cli.configuration import load_settings
from hub.settings import Settings, bare_key, bare_setting, read_key

Url = Annotated[
    str | None,
    typer.Option(
        envvar="HUB_URL",
        help="Address of the hub. [default: that of HUB_HOST and HUB_PORT]",
        rich_help_panel="Connection",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar="HUB_KEY",
        help="API key; for a hub on this machine the default is the admin key in its data directory.",
        rich_help_panel="Connection",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - addresses that mean all of them

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def connect(url: str | None, key: str | None, *, timeout: float = 30.0) -> HubClient:
    """A client of the hub that the options name, or else of the one of this machine's settings."""
    url, key = bare_setting(url or "") or own_url(load_settings()), str(bare_key(key or ""))
    return HubClient(url, key or (_local_admin_key() if is_local(url) else None), timeout=timeout)


def own_url(settings: Settings) -> str:
    """Where a hub with these settings is reached from this machine. Raises `ClientError` where that cannot be known."""
    if not settings.port:
        raise ClientError("HUB_PORT is 0, so the hub takes a free port; give --url with the one that it names.")
    host = _REACHED_AT.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def print_json(document: Any) -> None:
    """One document, indented for a person and one line for a pipe."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2 if out.is_terminal else None))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One line for each row, whole: a terminal that is too narrow wraps it, and a pipe can be searched line by line."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for number, row in enumerate([header, *rows]):
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        out.print(line, markup=False, style="" if number else "dim")


def _local_admin_key() -> str | None:
    """For a hub on this machine only: no other address is ever sent it."""
    try:
        settings = load_settings()
    except ClientError:
        # A hub that runs elsewhere with right settings can be asked all the same, with --key.
        return None
    if settings.admin_key:
        return settings.admin_key.get_secret_value()
    try:
        return read_key(settings.data_dir / "admin.key")
    except OSError:
        return None
    except ValueError as wrong:
        raise ClientError(str(wrong)) from None
