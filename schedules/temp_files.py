"""Removes what is old from one directory and never touches anything outside it.

Every step is relative to an open directory (`openat`, `fstatat`, `unlinkat`: POSIX.1-2017) and none follows a symbolic
link, so a link, or a swap between looking and removing, cannot lead out of the tree. What is removed is a name: other
hard links to a file keep its content. Sockets, pipes and devices are left alone, for somebody may hold their other end.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

MAX_NAMES = 1_000
MAX_ERRORS = 100
MAX_DEPTH = 64


@dataclass(slots=True)
class Removed:
    """What a run removed. Names are relative to the directory and at most `MAX_NAMES`; counts are complete."""

    files: list[str] = field(default_factory=list)
    file_count: int = 0
    directory_count: int = 0
    bytes: int = 0
    """Sizes of the files whose last name was removed."""
    errors: list[str] = field(default_factory=list)
    """At most `MAX_ERRORS`, each a name and why it could not be looked at or removed."""
    error_count: int = 0
    complete: bool = True
    """False when `limit` was reached; the next run goes on."""


def clean(directory: Path, older_than: timedelta, now: datetime, *, limit: int = 50_000) -> Removed:
    """Remove files and symbolic links last changed more than `older_than` before `now`, then directories left empty.

    The age of an entry runs from its content's or its inode's last change, whichever is later, so a file that was
    moved or unpacked here with an old date is new. A directory goes only if it was old when the run came to it; the
    directory itself stays. Other mounts are not entered. At most `limit` entries are removed; all are looked at.
    A missing directory is an empty one. Blocking. Raises `NotADirectoryError` when it is a link or no directory.
    """
    removed = Removed()
    try:
        root = _open_directory(os.fspath(directory))
    except FileNotFoundError:
        return removed
    try:
        _Sweep(removed, (now - older_than).timestamp(), now.timestamp(), _mount_of(root), limit).enter(root, "", 0)
    finally:
        os.close(root)
    return removed


@dataclass(slots=True)
class _Sweep:
    removed: Removed
    oldest_kept: float
    now: float
    mount: tuple[int, int]
    left: int

    def enter(self, directory: int, prefix: str, depth: int) -> None:
        """Go through an open directory, whose name with a slash is `prefix`."""
        with os.scandir(directory) as entries:
            for entry in entries:
                path = prefix + entry.name
                with self._noting(path):
                    status = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        self._descend(directory, entry.name, path, depth)
                    elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                        self._unlink(directory, entry.name, path, status)

    def _unlink(self, directory: int, name: str, path: str, status: os.stat_result) -> None:
        if not self._is_old(status) or not self._may_remove():
            return
        os.unlink(name, dir_fd=directory)
        self.left -= 1
        self.removed.file_count += 1
        self.removed.bytes += status.st_size if status.st_nlink == 1 else 0
        if len(self.removed.files) < MAX_NAMES:
            self.removed.files.append(_printable(path))

    def _descend(self, parent: int, name: str, path: str, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise OSError(f"nested deeper than {MAX_DEPTH} directories")
        child = _open_directory(name, parent)
        try:
            if _mount_of(child) != self.mount:
                return
            # Removing what it holds renews its dates, so its age is taken first.
            was_old = self._is_old(os.fstat(child))
            self.enter(child, path + "/", depth + 1)
            is_empty = was_old and _is_empty(child)
        finally:
            os.close(child)
        if is_empty and self._may_remove():
            # If something came into it meanwhile this fails, and it stays.
            os.rmdir(name, dir_fd=parent)
            self.left -= 1
            self.removed.directory_count += 1

    def _is_old(self, status: os.stat_result) -> bool:
        # A date of content can be set at will; one in the future would keep a file for ever.
        written = status.st_mtime if status.st_mtime <= self.now else status.st_ctime
        return max(written, status.st_ctime) < self.oldest_kept

    def _may_remove(self) -> bool:
        self.removed.complete = self.left > 0
        return self.removed.complete

    @contextmanager
    def _noting(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass  # Someone else removed it, which is as good.
        except OSError as error:
            self.removed.error_count += 1
            if len(self.removed.errors) < MAX_ERRORS:
                self.removed.errors.append(f"{_printable(path)}: {error.strerror or error}")


def _open_directory(name: str, parent: int | None = None) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def _is_empty(directory: int) -> bool:
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def _mount_of(directory: int) -> tuple[int, int]:
    """The device and, where the system tells it, the mount: a bind mount of the same disk has the same device."""
    device = os.fstat(directory).st_dev
    try:
        lines = Path(f"/proc/self/fdinfo/{directory}").read_text().splitlines()
    except OSError:
        return device, 0
    return device, next((int(line.split()[1]) for line in lines if line.startswith("mnt_id:")), 0)


def _printable(path: str) -> str:
    """A name as text that any encoder takes, although file names may be any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
