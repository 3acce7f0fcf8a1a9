"""Finds the channels: those of this package, and those that other distributions declare as entry points."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Any

from channels.base import Channel

ENTRY_POINTS = "hub.channels"
_PACKAGE = Path(__file__).parent
_DJANGO_CHANNELS = "channels"
"""A distribution that installs a package with the same name as this one."""


class ChannelConflict(RuntimeError):
    """Two channels, or two packages, have the same name. The message says which ones, and what to do."""


@cache
def load_channels() -> Mapping[str, type[Channel[Any]]]:
    """Every channel, by its kind; looked for once a process.

    A module of this package that defines a `Channel` is a channel; its kind must be the name of the module. Other
    distributions add channels through the entry-point group `hub.channels`, where each entry has the kind as its name.
    Raises `ChannelConflict` for a kind that exists twice or differs from the name, and `TypeError` for an entry that
    is not a channel.
    """
    _refuse_django_channels()
    # Sorted, so that every process reports the same conflict first.
    found: dict[str, type[Channel[Any]]] = {}
    for info in sorted(pkgutil.iter_modules([str(_PACKAGE)]), key=lambda info: info.name):
        for channel in _defined_in(f"{_PACKAGE.name}.{info.name}"):
            if channel.kind != info.name or channel.kind in found:
                raise ChannelConflict(
                    f"channels/{info.name}.py must define one channel with kind = {info.name!r}, not {channel.kind!r}"
                )
            found[channel.kind] = channel
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        channel = _loaded(entry)
        if entry.name in found:
            origin = entry.dist.name if entry.dist else entry.value
            raise ChannelConflict(
                f"{origin} declares the channel {entry.name!r}, which already exists; remove one of them"
            )
        found[entry.name] = channel
    return found


def _defined_in(name: str) -> list[type[Channel[Any]]]:
    module = importlib.import_module(name)
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Channel)
        and value.__module__ == name
        and not inspect.isabstract(value)
    ]


def _loaded(entry: EntryPoint) -> type[Channel[Any]]:
    channel = entry.load()
    if not (inspect.isclass(channel) and issubclass(channel, Channel)):
        raise TypeError(f"the entry point {entry.name!r} of {ENTRY_POINTS} must be a subclass of channels.base.Channel")
    if channel.kind != entry.name:
        raise ChannelConflict(f"the entry point {entry.name!r} of {ENTRY_POINTS} has kind = {channel.kind!r}")
    return channel


def _refuse_django_channels() -> None:
    """Raise when Django Channels is installed into this directory: the later of the two installations has overwritten
    files of the other."""
    try:
        theirs = distribution(_DJANGO_CHANNELS)
    except PackageNotFoundError:
        return
    for file in theirs.files or ():
        if Path(str(theirs.locate_file(file))).parent.resolve() == _PACKAGE.resolve():
            raise ChannelConflict(
                "Django Channels is installed over this package, because both are called `channels`; "
                "install the hub in its own virtual environment, or run it from its checkout"
            )
