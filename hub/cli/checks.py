"""What `hub doctor` checks on this machine. Each check gives findings and changes nothing."""

import asyncio
import os
import pkgutil
import shutil
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import apsw

from hub.cli.client import ClientError
from hub.cli.packages import ADVICE, LEAVES, hidden, resolve
from hub.clock import Clock
from hub.errors import HubError
from hub.findings import EMPTY_STORE, Finding
from hub.settings import Settings, read_key, settings_file, unknown_settings
from hub.stores import OPENERS
from hub.stores.sqlite.database.opening import migrations

MIB = 1024 * 1024
DISK_LOW_BYTES = 1024 * MIB
DISK_FULL_BYTES = 128 * MIB
CHECK_SECONDS = 30.0
OLDEST_SQLITE = (3, 51, 3)
"""Older versions can corrupt a database when its write-ahead log is reset (https://sqlite.org/wal.html). See
docs/decisions/0001."""


ELSEWHERE = (
    "Run this where the hub runs, or with the HUB_DATA_DIR, HUB_STORE_URL or HUB_CONFIG that it has, or give --url. If"
    " it never ran, `hub serve` creates what it needs."
)


UNTIL_THEN = "Correct its settings, or see to its server. Until then, its deliveries wait or fail."


def local(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """This machine: what is looked at, the libraries, the data directory, and the database file or the Redis server."""
    file, store = settings_file().absolute(), without_secrets(settings.store_url)
    yield Finding("settings", "ok", f"the environment and {file}" if file.exists() else f"the environment; no {file}")
    yield Finding("store", "ok", store)
    if settings.sandbox:
        advice = "Unset HUB_SANDBOX where messages must arrive."
        yield Finding("sandbox", "warning", "nothing is sent; every attempt ends as succeeded", advice)
    yield from _packages()
    yield from _unknown_settings()
    yield _sqlite_version()
    yield from _data(settings.data_dir.absolute())
    if (database := database_path(settings)) is not None:
        yield _database(database.absolute(), clock)
    elif store.partition("://")[0] in OPENERS:
        yield from _redis(settings.store_url, settings.redis_wait_replicas, clock)
    else:
        advice = f"Begin HUB_STORE_URL with one of: {', '.join(map('{}://'.format, OPENERS))}"
        yield Finding("store", "failed", f"there is no store {store.partition('://')[0]}://", advice)


def database_path(settings: Settings) -> Path | None:
    """The file that the store is; None where a server keeps it."""
    scheme, _, place = settings.store_url.partition("://")
    return Path(place[1:]) if scheme == "sqlite" else None


def without_secrets(store_url: str) -> str:
    """The URL without user and options, both of which may hold passwords."""
    scheme, separator, rest = store_url.partition("://")
    if scheme == "sqlite":
        return store_url
    return f"{scheme}{separator}{rest.partition('?')[0].rpartition('@')[2]}"


def address(settings: Settings) -> Finding:
    """Whether the hub could listen on its address, for when no hub answers."""
    place = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the hub itself sets it: connections that ended a moment ago do not make an address taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            advice = "Stop what listens there, or choose another HUB_PORT."
            return Finding("address", "failed", f"{place}: {error.strerror}", advice)
    return Finding("address", "ok", f"{place} is free")


def _sqlite_version() -> Finding:
    text = apsw.sqlite_lib_version()
    if tuple(int(part) for part in text.split(".")) < OLDEST_SQLITE:
        return Finding("sqlite", "failed", f"SQLite {text}", "Install the locked requirements: `make clean run`.")
    return Finding("sqlite", "ok", f"SQLite {text}, APSW {apsw.apsw_version()}")


def _packages() -> Iterator[Finding]:
    for leaf in LEAVES:
        if wrong := hidden(leaf):
            yield Finding("packages", "failed", wrong, ADVICE)


def _unknown_settings() -> Iterator[Finding]:
    """Needs the channels, which know the names of their settings; where a package is hidden, that is told already."""
    try:
        channels = resolve("channels:load_channels")()
    except (ClientError, ImportError, RuntimeError, TypeError) as error:
        yield Finding("channels", "failed", str(error), "No process of the hub starts until this is fixed.")
        return
    for name, meant in unknown_settings(name for channel in channels.values() for name in channel.option_names):
        advice = f"Did you mean {meant}?" if meant else "Remove it, or install the channel that reads it."
        if name.startswith("["):
            advice = "hub.toml has no sections: put its lines before the first one."
        yield Finding("unknown", "warning", f"nothing reads {name}", advice)


def check_channels(settings: Settings) -> Iterator[Finding]:
    """The settings of channels, for when no hub answers that could check them."""
    try:
        checks = asyncio.run(resolve("hub.runtime.channels:check_settings")(settings))
    except (ClientError, ImportError, HubError) as error:
        yield Finding("channels", "failed", str(error), "No process of the hub starts until this is fixed.")
    else:
        yield from channel_findings(map(asdict, checks))


def channel_findings(checks: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """The problems of each channel; one that has none is mentioned where it is used."""
    for check in checks:
        name = f"channel {check['kind']}"
        for problem in check["problems"]:
            where = f" (subscription {problem['subscription_id']})" if problem["subscription_id"] else ""
            yield Finding(name, "failed", problem["detail"] + where, UNTIL_THEN)
        if check["subscriptions"] and not check["problems"]:
            yield Finding(name, "ok", f"subscriptions that can be sent to: {check['subscriptions']}")


def _data(path: Path) -> Iterator[Finding]:
    if not path.is_dir():
        yield _missing_directory(path)
        return
    yield _directory(path)
    for name in ("admin.key", "secret.key"):
        if (path / name).exists():
            yield _key_file(path / name)
    yield _disk(path)


def _missing_directory(path: Path) -> Finding:
    if path.exists():
        return Finding("data directory", "failed", f"{path} is not a directory", "Point HUB_DATA_DIR somewhere else.")
    parent = next(above for above in path.absolute().parents if above.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return Finding("data directory", "warning", f"there is none at {path}", ELSEWHERE)
    return Finding(
        "data directory", "failed", f"{path} cannot be created in {parent}", "Set HUB_DATA_DIR, or allow writing there."
    )


def _directory(path: Path) -> Finding:
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding("data directory", "failed", f"{path} is not writable", f"Run as its owner, or `chown` {path}.")
    if path.stat().st_mode & stat.S_IWOTH:
        return Finding("data directory", "failed", f"everybody may write in {path}", f"`chmod o-w {path}`")
    return Finding("data directory", "ok", str(path))


def _key_file(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(
            path.name, "failed", f"others may read it (mode {mode:04o})", f"`chmod 600 {path}`, then rotate it."
        )
    try:
        read_key(path)
    except (ValueError, OSError) as wrong:
        return Finding(path.name, "failed", str(wrong), "No process of the hub starts until this is fixed.")
    return Finding(path.name, "ok", f"private (mode {mode:04o})")


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    seen = f"{free // MIB:,} MiB free"
    if free < DISK_FULL_BYTES:
        return Finding("disk", "failed", seen, "Free some space now; a full disk refuses events with 503.")
    if free < DISK_LOW_BYTES:
        return Finding("disk", "warning", seen, "Free some space, or lower HUB_RETENTION.")
    return Finding("disk", "ok", seen)


def _database(path: Path, clock: Clock) -> Finding:
    if not path.exists():
        return Finding(EMPTY_STORE, "warning", f"there is no database at {path}", ELSEWHERE)
    deadline = clock.monotonic() + CHECK_SECONDS
    advice = f"Stop the hub, keep a copy of {path}, and restore a backup."
    try:
        # Read-only, because a hub may be at work on it.
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_progress_handler(lambda: clock.monotonic() > deadline, 100_000)
            version, newest = connection.pragma("user_version"), len(migrations())
            if version > newest:
                return _newer(path, version, newest)
            result = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except apsw.InterruptError:
        return Finding("database", "ok", f"no error found in {CHECK_SECONDS:.0f} s of checking")
    except apsw.Error as error:
        return Finding("database", "failed", f"{path}: {error}", advice)
    if result != ("ok",):
        return Finding("database", "failed", f"{path}: {result[0] if result else 'no result'}", advice)
    return Finding("database", "ok", f"{path} is intact, {path.stat().st_size // MIB:,} MiB")


def _newer(path: Path, version: int, newest: int) -> Finding:
    seen = f"{path} was written by a newer version of the hub (schema {version}, this one knows {newest})"
    return Finding("database", "failed", seen, "Install that version again, or restore the backup from before it.")


def _redis(url: str, wait_replicas: int, clock: Clock) -> Sequence[Finding]:
    # Resolved by name, because importing the Redis client takes longer than the other checks.
    examine = pkgutil.resolve_name("hub.stores.redis.safety.server_check:examine")
    try:
        findings: Sequence[Finding] = asyncio.run(examine(url, clock, wait_replicas))
        return findings
    except HubError as error:
        return [Finding("redis", "failed", error.detail, "No process of the hub starts until this is fixed.")]
