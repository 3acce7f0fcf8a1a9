"""Append-only files of JSON lines, for audits or for other programs to read."""

import asyncio
import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated
from weakref import WeakValueDictionary

import orjson
from pydantic import ConfigDict, Field

from channels.base import Channel, ChannelContext, ChannelUnavailable, Message, Receipt, SendFailed, TargetModel

DEFAULT_MAX_BYTES = 64 * 1024 * 1024
DEFAULT_KEEP = 10
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""The operator has to change what the hub may write."""
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class FileTarget(TargetModel):
    """The name of a file in `<data_dir>/files/<tenant>`, without its suffix."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "orders"}]})

    name: Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$")]


class FileChannel(Channel[FileTarget]):
    """Appends one line for each message to `<name>.jsonl` and returns once the line is on disk.

    When a file has reached `file_max_bytes` (64 MiB), it is renamed to `<name>.1.jsonl`, the previous `<name>.1.jsonl`
    to `<name>.2.jsonl`, and so on; `file_keep` (10) of them are kept. If the outcome of an attempt is lost, the line is
    in the file twice, with the same `delivery_id`.
    """

    kind = "file"
    Target = FileTarget
    option_names = frozenset({"file_max_bytes", "file_keep"})

    def __init__(self, context: ChannelContext) -> None:
        super().__init__(context)
        self._root = context.data_dir / "files"
        self._max_bytes = _positive(context.options, "file_max_bytes", DEFAULT_MAX_BYTES)
        self._keep = _positive(context.options, "file_keep", DEFAULT_KEEP)
        self._turns: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def send(self, message: Message, target: FileTarget) -> Receipt:
        place = self._root / message.tenant
        turn = self._turns.setdefault(place / target.name, asyncio.Lock())
        # One thread for each file at most: a disk that hangs must not take them all.
        await turn.acquire()
        appending = asyncio.ensure_future(self.context.run_in_thread(self._append, place, target.name, _line(message)))
        # When it has ended, and not when this attempt is given up: the thread may hang for longer.
        appending.add_done_callback(partial(_end_turn, turn))
        try:
            await asyncio.shield(appending)
        except OSError as error:
            refused = ChannelUnavailable if error.errno in _NOT_ALLOWED else SendFailed
            raise refused(f"the file cannot be written: {os.strerror(error.errno or errno.EIO)}") from None
        return Receipt()

    def _append(self, place: Path, name: str, line: bytes) -> None:
        for folder in (self._root, place):
            folder.mkdir(exist_ok=True, mode=0o700)
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            file, is_new = self._open(directory, name)
            try:
                _write_whole(file, line)
                os.fsync(file)
            finally:
                os.close(file)
            if is_new:
                # Without this a crash can lose the name of the new file, and so the line that is in it.
                os.fsync(directory)
        finally:
            os.close(directory)

    def _open(self, directory: int, name: str) -> tuple[int, bool]:
        """The current file, locked and with room in it, and whether it is new."""
        while True:
            file, is_new = _open_current(directory, name)
            try:
                # One writer at a time among all processes, for each file: two that rotate at once would overwrite one.
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_current(file, directory, name):
                    if os.fstat(file).st_size < self._max_bytes:
                        opened, file = file, -1
                        return opened, is_new
                    self._rotate(directory, name)
            finally:
                if file >= 0:
                    os.close(file)

    def _rotate(self, directory: int, name: str) -> None:
        names = [f"{name}.jsonl", *(f"{name}.{number}.jsonl" for number in range(1, self._keep + 1))]
        for newer, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                os.rename(newer, older, src_dir_fd=directory, dst_dir_fd=directory)


def _open_current(directory: int, name: str) -> tuple[int, bool]:
    """The file, opened, and whether there was none."""
    try:
        status = os.stat(f"{name}.jsonl", dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        is_new = True
    else:
        is_new = False
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ELOOP, "not a regular file")
    return os.open(f"{name}.jsonl", _APPEND, 0o600, dir_fd=directory), is_new


def _is_current(file: int, directory: int, name: str) -> bool:
    """Whether the open file still has its name: another writer may have renamed it before the lock was free."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(f"{name}.jsonl", dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _end_turn(turn: asyncio.Lock, appending: asyncio.Future[None]) -> None:
    turn.release()
    if not appending.cancelled():
        # The attempt may have been given up, and asyncio logs an exception that nobody has retrieved.
        appending.exception()


def _positive(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"HUB_{name.upper()} must be a positive number")
    return int(text)


def _write_whole(file: int, line: bytes) -> None:
    """Write the whole line, or leave the file as it was: the next line would be appended to half a line."""
    written = os.write(file, line)
    if written < len(line):
        os.ftruncate(file, os.fstat(file).st_size - written)
        raise OSError(errno.ENOSPC, "no room for a whole line")


def _line(message: Message) -> bytes:
    head = {
        "event_id": message.event_id,
        "delivery_id": message.delivery_id,
        "attempt": message.attempt,
        "type": message.type,
        "source": message.source,
        "subject": message.subject,
        "time": message.time,
        "written_at": message.sent_at,
        **({"test": True} if message.test else {}),
    }
    data = b" ".join(message.data.splitlines())  # JSON may span several lines, but its strings contain no line breaks
    return b'%b,"data":%b}\n' % (orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1], data)
