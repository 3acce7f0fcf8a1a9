"""Backup of a hub into a directory, also while it runs, and its restoration into an empty place.

A backup holds the database as `hub.db` whatever the store is, the generated keys, the files of the channel `file`, and
at last `manifest.json`, without which it is not a backup. See docs/decisions/0025.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from hub.catalogue.sealing import fingerprint
from hub.clock import Clock
from hub.cluster.operator_secrets import KEY_FILES, secret_keys, sync_directory
from hub.errors import Conflict, HubError
from hub.maintenance.copy import Progress, copy
from hub.settings import Settings
from hub.stores.sqlite.database.opening import exclusive
from hub.stores.sqlite.database.snapshot import copy_database, newest_schema

DATABASE: Final = "hub.db"
FILES: Final = "files"
MANIFEST: Final = "manifest.json"
_STAGE: Final = "restore.partial"
_CHUNK_BYTES: Final = 1024 * 1024


class BackedUpFile(BaseModel):
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup holds. A newer version may have added members, which are passed over."""

    model_config = ConfigDict(extra="ignore")

    hub_version: str
    db_schema: int
    created_at: datetime
    secret_key: str | None
    """The fingerprint of a `HUB_SECRET_KEY` that stood in the settings and so is not in the backup."""
    files: Mapping[str, BackedUpFile]


def back_up(settings: Settings, directory: Path, clock: Clock, progress: Progress) -> Manifest:
    """Write a backup into a directory that is empty or not there yet.

    A hub may run on an SQLite store meanwhile; a server's store is copied while none runs. Runs an event loop of its
    own for the latter. Raises `HubError`, and `OSError` where the directory cannot be written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise Conflict(f"{directory} is not empty; give each backup a directory of its own.")
    directory.chmod(0o700)
    try:
        return _write_backup(settings, directory, clock, progress)
    except BaseException:
        # It was empty, so all that is in it is of this backup.
        for path in directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _write_backup(settings: Settings, directory: Path, clock: Clock, progress: Progress) -> Manifest:
    keys = _keys(settings)
    schema = _copy_store(settings, directory / DATABASE, clock, progress)
    if _keys(settings) != keys:
        raise Conflict("The secret key was rotated meanwhile; run it again.")
    for name, key in keys.items():
        _write(directory / name, key)
    _copy_files(settings.data_dir / FILES, directory / FILES)
    manifest = Manifest(
        hub_version=version("notification-hub"),
        db_schema=schema,
        created_at=clock.now(),
        secret_key=_given(settings),
        files={name: _measured(directory / name) for name in sorted(_names(directory))},
    )
    _write(directory / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")
    sync_directory(directory)
    return manifest


def restore(settings: Settings, directory: Path, clock: Clock, progress: Progress) -> Manifest:
    """Put a backup where these settings say, which must be empty. Raises `HubError`, and `OSError`.

    Nothing is changed before the backup is known to be whole and readable by this version.
    """
    manifest = read_manifest(directory)
    _refuse_other_key(settings, manifest)
    scheme, _, place = settings.store_url.partition("://")
    database = Path(place[1:]) if scheme == "sqlite" else None
    _refuse_what_is_there(settings.data_dir, database)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    stage = settings.data_dir / _STAGE
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(mode=0o700)
    for name in manifest.files:
        _make_private((stage / name).parent)
        _copy_file(directory / name, stage / name)
    if database is None:
        asyncio.run(copy(f"sqlite:///{stage / DATABASE}", settings.store_url, clock, progress))
    for name in (*KEY_FILES, FILES):
        if (stage / name).exists():
            (stage / name).rename(settings.data_dir / name)
    if database is not None:
        # Last: until it is there, a restoration that was killed shows as what it is.
        _place_database(stage / DATABASE, database)
    shutil.rmtree(stage)
    sync_directory(settings.data_dir)
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup that is whole, and that this version can read. Raises `HubError`."""
    try:
        manifest = Manifest.model_validate_json((directory / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise HubError(f"{directory} is not a whole backup: it has no {MANIFEST}.") from None
    except (ValidationError, OSError):
        raise HubError(f"{directory / MANIFEST} cannot be read.") from None
    if manifest.db_schema > newest_schema():
        raise HubError(
            f"The backup is of a newer version of the hub, {manifest.hub_version} (schema {manifest.db_schema}, this"
            f" one knows {newest_schema()}): install that version, and restore with it."
        )
    for name, expected in manifest.files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise HubError(f"The backup names a file outside of it: {name}.")
        if not (directory / name).is_file() or _measured(directory / name) != expected:
            raise HubError(f"The backup is damaged: {directory / name} is missing, or not what it was.")
    if DATABASE not in manifest.files:
        raise HubError(f"The backup is damaged: its manifest names no {DATABASE}.")
    return manifest


def _copy_store(settings: Settings, destination: Path, clock: Clock, progress: Progress) -> int:
    scheme, _, place = settings.store_url.partition("://")
    if scheme == "sqlite":
        if not (source := Path(place[1:])).exists():
            raise HubError(f"There is no database at {source.absolute()}. Run this where the hub runs.")
        return copy_database(source, destination)
    # Into a folder of its own first, because a store leaves other files beside its database.
    folder = destination.with_name("copy.partial")
    asyncio.run(copy(settings.store_url, f"sqlite:///{folder / DATABASE}", clock, progress))
    schema = copy_database(folder / DATABASE, destination)
    shutil.rmtree(folder)
    return schema


def _keys(settings: Settings) -> dict[str, bytes]:
    """The generated keys. They must not change while the database is copied, whose secrets are sealed with one."""
    places = {name: settings.data_dir / name for name in KEY_FILES}
    return {name: place.read_bytes() for name, place in places.items() if place.is_file()}


def _refuse_what_is_there(data_dir: Path, database: Path | None) -> None:
    places = [data_dir / name for name in (FILES, *KEY_FILES)] + ([database] if database is not None else [])
    if present := [str(place) for place in places if place.exists()]:
        raise Conflict(
            f"A backup is restored into an empty place only, and there is {', '.join(present)}. Stop the hub and move"
            " that away, or set another HUB_DATA_DIR."
        )


def _place_database(source: Path, destination: Path) -> None:
    # Also where the database has a place of its own on another disk, to which nothing can be renamed.
    draft = destination.with_name(f"{destination.name}.partial")
    with exclusive(destination):
        draft.unlink(missing_ok=True)
        _copy_file(source, draft)
        draft.rename(destination)
        sync_directory(destination.parent)


def _refuse_other_key(settings: Settings, manifest: Manifest) -> None:
    if manifest.secret_key is None:
        return
    if _given(settings) != manifest.secret_key:
        raise HubError(
            "The secrets in this backup are sealed with a HUB_SECRET_KEY that stood in the settings of the hub. Set the"
            " same one, and restore again."
        )


def _given(settings: Settings) -> str | None:
    return fingerprint(secret_keys(settings)[0]) if settings.secret_key is not None else None


def _copy_files(source: Path, destination: Path) -> None:
    """The files of every tenant, each as long as it was when all of the tenant's were opened."""
    if not source.is_dir():
        return
    for place in sorted(path for path in source.iterdir() if path.is_dir() and not path.is_symlink()):
        _make_private(destination / place.name)
        with ExitStack() as stack:
            for name, descriptor, size in _opened(place, stack):
                _copy_open(descriptor, size, destination / place.name / name)


def _opened(place: Path, stack: ExitStack) -> list[tuple[str, int, int]]:
    """Under the lock of the channel `file`, which appends and rotates under it: no half line, and no file twice."""
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_SH)
        found = []
        for path in sorted(place.iterdir()):
            if path.is_file() and not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                stack.callback(os.close, descriptor)
                found.append((path.name, descriptor, os.fstat(descriptor).st_size))
        return found
    finally:
        os.close(directory)


def _make_private(folder: Path) -> None:
    """Make a folder and those above it. `mkdir` gives its mode to the last one only."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700)


def _copy_file(source: Path, destination: Path) -> None:
    descriptor = os.open(source, os.O_RDONLY)
    try:
        _copy_open(descriptor, os.fstat(descriptor).st_size, destination)
    finally:
        os.close(descriptor)


def _copy_open(descriptor: int, size: int, destination: Path) -> None:
    with os.fdopen(os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copied:
        while left := size - copied.tell():
            if not (chunk := os.read(descriptor, min(left, _CHUNK_BYTES))):
                break
            copied.write(chunk)
        copied.flush()
        os.fsync(copied.fileno())


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _names(directory: Path) -> Iterator[str]:
    return (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def _measured(path: Path) -> BackedUpFile:
    with path.open("rb") as file:
        return BackedUpFile(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
