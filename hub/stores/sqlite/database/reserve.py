"""Disk space kept for the results of attempts that are under way when the disk becomes full."""

import contextlib
import os
import shutil
from pathlib import Path

RESERVE_BYTES = 8 * 1024 * 1024


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
                # Written, because a file that is only made long has no blocks on the disk.
                file.write(bytes(RESERVE_BYTES))
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
