"""The packages of the hub itself, imported only where a command needs them and only where they are the hub's own."""

import pkgutil
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hub
from hub.cli.client import ClientError

ROOT = Path(hub.__file__).parent.parent
LEAVES = ("channels", "schedules")
ADVICE = (
    "Install the hub apart, in a virtual environment of its own: `python3 -m venv .venv && .venv/bin/pip install PATH`,"
    " where PATH is its checkout or wheel."
)


def resolve(name: str) -> Any:
    """The object `module:name` of the server's side, whose imports take longer than a whole client command.

    Raises `ClientError` where another distribution hides a package of the hub.
    """
    for leaf in LEAVES:
        if wrong := hidden(leaf):
            raise ClientError(f"{wrong} {ADVICE}")
    return pkgutil.resolve_name(name)


def hidden(leaf: str) -> str:
    """What hides this top-level package of the hub, as a sentence; empty where nothing does.

    Django Channels, for one, installs a package called `channels` too.
    """
    spec = find_spec(leaf)
    if spec is not None and spec.origin is not None and Path(spec.origin).parent.parent.samefile(ROOT):
        return ""
    if spec is None:
        return f"The package `{leaf}` of the hub is not installed."
    owners = (
        " and ".join(sorted(set(packages_distributions().get(leaf, ())) - {"notification-hub"})) or "something else"
    )
    place = spec.origin or ", ".join(spec.submodule_search_locations or ())
    return f"The package `{leaf}` at {Path(place).parent} belongs to {owners} and hides the hub's own."
