"""Disk space kept for the results of attempts that are under way when the disk becomes full."""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

RESERVE_BYTES = 8 * 1024 * 1024
_NOT_SUPPORTED = (errno.EINVAL, errno.EOPNOTSUPP)
"""What a file system says that cannot take space without writing."""


class Reserve:
    """A file that only takes up space. While it is released, only vital work is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.held = path.exists() and path.stat().st_size == RESERVE_BYTES
        if not self.held:
            self.take()

    def take(self) -> bool:
        """Take the space if at least as much stays free besides; False if not."""
        # Twice as much, because taking the last space would fill the disk again at once.
        if shutil.disk_usage(self._path.parent).free < 2 * RESERVE_BYTES:
            return False
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                _allocate(file)
        except OSError:
            self.release()
            return False
        self.held = True
        return True

    def release(self) -> bool:
        """Give the space back to the disk. False if it was not held."""
        held, self.held = self.held, False
        with contextlib.suppress(OSError):
            self._path.unlink()
        return held


def _allocate(file: BinaryIO) -> None:
    """Take up the space. Raises `OSError` when there is too little of it."""
    # Not by making the file long, which gives it no blocks; and not by writing where that can be avoided, because then
    # a start waits for 8 MiB on a slow disk.
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
        else:
            return
    file.write(bytes(RESERVE_BYTES))
