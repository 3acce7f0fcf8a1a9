"""Removes old files from one directory and never touches anything outside it.

Every step is relative to an open directory (`openat`, `fstatat`, `unlinkat`: POSIX.1-2017), and none follows a symbolic
link. A link, or a directory that is replaced between the check and the removal, therefore cannot lead out of the tree.
Removing a file removes one name: other hard links keep its content. Sockets, pipes and devices stay, because another
process may have them open.
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
    """What a run removed. The names, at most `MAX_NAMES`, are relative to the directory; the counts are complete."""

    files: list[str] = field(default_factory=list)
    file_count: int = 0
    directory_count: int = 0
    bytes: int = 0
    """The total size of the files whose last name was removed."""
    errors: list[str] = field(default_factory=list)
    """At most `MAX_ERRORS`, each with a name and the reason why it could not be read or removed."""
    error_count: int = 0
    complete: bool = True
    """False when `limit` was reached; the next run continues."""


def clean(directory: Path, older_than: timedelta, now: datetime, *, limit: int = 50_000) -> Removed:
    """Remove files and symbolic links last changed more than `older_than` before `now`, then directories left empty.

    The age of an entry starts at the last change of its content or its inode, the later of the two, so that a file
    that was moved or unpacked here with an old date counts as new. A subdirectory is removed only if it was old when
    the run reached it; `directory` itself stays. Other mounts are not entered. At most `limit` entries are removed, but
    all are checked. A missing directory counts as empty. The call blocks. Raises `NotADirectoryError` for a link or
    anything else that is not a directory.
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
    remaining: int

    def enter(self, directory: int, prefix: str, depth: int) -> None:
        """Process an open directory. `prefix` is its path, with a slash at the end."""
        with os.scandir(directory) as entries:
            for entry in entries:
                path = prefix + entry.name
                with self._recording_errors(path):
                    status = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        self._descend(directory, entry.name, path, depth)
                    elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                        self._unlink(directory, entry.name, path, status)

    def _unlink(self, directory: int, name: str, path: str, status: os.stat_result) -> None:
        if not self._is_old(status) or not self._may_remove():
            return
        os.unlink(name, dir_fd=directory)
        self.remaining -= 1
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
            # Removing its entries renews its dates, so its age is read first.
            was_old = self._is_old(os.fstat(child))
            self.enter(child, path + "/", depth + 1)
            is_empty = was_old and _is_empty(child)
        finally:
            os.close(child)
        if is_empty and self._may_remove():
            # This fails if something was added in the meantime, and the directory stays.
            os.rmdir(name, dir_fd=parent)
            self.remaining -= 1
            self.removed.directory_count += 1

    def _is_old(self, status: os.stat_result) -> bool:
        # Programs can set the date of the content freely; one in the future would keep the file forever.
        written = status.st_mtime if status.st_mtime <= self.now else status.st_ctime
        return max(written, status.st_ctime) < self.oldest_kept

    def _may_remove(self) -> bool:
        self.removed.complete = self.remaining > 0
        return self.removed.complete

    @contextmanager
    def _recording_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            pass  # Another process removed it, which has the same result.
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
    """The device and, where the system shows it, the mount: a bind mount of the same disk has the same device."""
    device = os.fstat(directory).st_dev
    try:
        lines = Path(f"/proc/self/fdinfo/{directory}").read_text().splitlines()
    except OSError:
        return device, 0
    return device, next((int(line.split()[1]) for line in lines if line.startswith("mnt_id:")), 0)


def _printable(path: str) -> str:
    """The path as text that every encoder accepts, because file names may contain any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
