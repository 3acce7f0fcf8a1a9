"""What every client command shares: the options that say which hub and which key, and how results are shown."""

import json
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from hub.cli.client import HubClient, is_local
from hub.settings import Settings

Url = Annotated[
    str, typer.Option(envvar="HUB_URL", help="Address of the hub.", show_default=True, rich_help_panel="Connection")
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

DEFAULT_URL = "http://127.0.0.1:8000"

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def connect(url: str, key: str | None, *, timeout: float = 30.0) -> HubClient:
    # A variable that was read from a file often ends with a line break.
    url, key = url.strip(), (key or "").strip()
    return HubClient(url, key or (_local_admin_key() if is_local(url) else None), timeout=timeout)


def print_json(document: Any) -> None:
    """One document, indented for a person and one line for a pipe."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2 if out.is_terminal else None))


def _local_admin_key() -> str | None:
    """For a hub on this machine only: no other address is ever sent it."""
    try:
        settings = Settings()
        if settings.admin_key:
            return settings.admin_key.get_secret_value()
        return (settings.data_dir / "admin.key").read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError, ValidationError):
        return None
