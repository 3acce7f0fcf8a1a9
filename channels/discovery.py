"""Finds the channels: those of this package, and those that other distributions announce."""

import importlib
import inspect
import pkgutil
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Any

from channels.base import Channel

ENTRY_POINTS = "hub.channels"
_PACKAGE = Path(__file__).parent
_NAMESAKE = "channels"
"""The distribution of Django Channels, which installs a package of the same name."""


class ChannelConflict(RuntimeError):
    """Two channels, or two packages, claim one name; its message says which and what to do."""


def load_channels() -> dict[str, type[Channel[Any]]]:
    """Every channel by its kind.

    A module of this package is one when it defines a `Channel`, whose kind must be the module's name; others add
    theirs through the entry-point group `hub.channels`, whose entries are named for the kind. Raises
    `ChannelConflict` for a kind that is taken or misnamed, and `TypeError` for an entry that is no channel.
    """
    _refuse_namesake()
    found: dict[str, type[Channel[Any]]] = {}
    for info in sorted(pkgutil.iter_modules([str(_PACKAGE)]), key=lambda info: info.name):
        for channel in _defined_in(f"{_PACKAGE.name}.{info.name}"):
            if channel.kind != info.name or channel.kind in found:
                raise ChannelConflict(
                    f"channels/{info.name}.py must define one channel with kind = {info.name!r}, not {channel.kind!r}"
                )
            found[channel.kind] = channel
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        channel = _announced(entry)
        if entry.name in found:
            origin = entry.dist.name if entry.dist else entry.value
            raise ChannelConflict(f"{origin} announces the channel {entry.name!r}, which exists; remove one of them")
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


def _announced(entry: EntryPoint) -> type[Channel[Any]]:
    channel = entry.load()
    if not (inspect.isclass(channel) and issubclass(channel, Channel)):
        raise TypeError(f"the entry point {entry.name!r} of {ENTRY_POINTS} must be a subclass of channels.base.Channel")
    if channel.kind != entry.name:
        raise ChannelConflict(f"the entry point {entry.name!r} of {ENTRY_POINTS} has kind = {channel.kind!r}")
    return channel


def _refuse_namesake() -> None:
    """Stop when Django Channels lies in this very directory: whichever came last has overwritten files of the other."""
    try:
        theirs = distribution(_NAMESAKE)
    except PackageNotFoundError:
        return
    for file in theirs.files or ():
        if Path(str(theirs.locate_file(file))).parent.resolve() == _PACKAGE.resolve():
            raise ChannelConflict(
                "Django Channels is installed over this package, since both are called `channels`; "
                "install the hub in a virtual environment of its own, or run it from its checkout"
            )
