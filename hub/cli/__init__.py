"""The command `hub`: runs a hub, and calls one."""

import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from hub.cli.backup import backup, restore
from hub.cli.client import ClientError
from hub.cli.connection import err
from hub.cli.doctor import doctor
from hub.cli.keys import keys
from hub.cli.publish import publish, replay
from hub.cli.roles import scheduler, web, worker
from hub.cli.secrets import secrets
from hub.cli.serve import serve
from hub.cli.store import store
from hub.cli.tail import tail

__all__ = ["app", "main"]

app = typer.Typer(
    name="hub",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich's own markup would take "[default: …]" for a style, and leave it out.
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (serve, web, worker, scheduler, publish, tail, replay, doctor, backup, restore):
    app.command()(command)
app.add_typer(keys, name="keys")
app.add_typer(store, name="store")
app.add_typer(secrets, name="secrets")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hub {installed_version('notification-hub')}")
        raise typer.Exit


@app.callback()
def hub(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Event-driven notification hub: events come in over REST and go out to Slack, webhooks and email."""


def main() -> None:
    """The entry point: an error is one line on standard error and a non-zero exit status."""
    # Not standalone: then typer would print its own errors, over several lines.
    try:
        sys.exit(app(prog_name="hub", standalone_mode=False))
    except KeyboardInterrupt:
        sys.exit(130)
    except typer.TyperException as error:
        _fail(_usage(error), error.exit_code)
    except ClientError as error:
        _fail(str(error), 1)
    except OSError as error:
        if error.filename is None:
            raise
        # Most often a command that runs as another user than the hub.
        _fail(f"{error.filename}: {error.strerror}.", 1)


def _usage(error: typer.TyperException) -> str:
    """Empty when the command, given no arguments, has printed its help."""
    # The words of a value's type are for people; what stands before them is not.
    message = error.format_message().replace("Value error, ", "").strip().removesuffix(".")
    if not message:
        return ""
    context = getattr(error, "ctx", None)
    end = "" if message.endswith("?") else "."
    return f"{message}{end} See `{context.command_path if context else 'hub'} --help`."


def _fail(message: str, status: int) -> None:
    if message:
        err.print(f"hub: {' '.join(message.split())}", style="red", markup=False)
    sys.exit(status)
