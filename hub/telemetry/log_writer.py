"""Writing the lines of the log so that nobody who logs ever waits for the reader of the log."""

import atexit
import os
import signal
import stat
import threading
from collections import deque
from typing import TextIO

CAPACITY = 8 * 1_048_576
"""Characters that may wait for a reader that is slow or has stopped. What comes beyond them is counted and dropped."""
CLOSE_SECONDS = 2.0
"""How long the end of the process waits for the last lines to be read."""


class LogWriter:
    """Writes to pipes, sockets and terminals in a thread of its own, and to files, which have no reader, at once.

    Example:

        import sys

        writer = LogWriter(sys.stderr)
        writer.write("a line")
        writer.flush(2.0)
    """

    def __init__(self, stream: TextIO, capacity: int = CAPACITY) -> None:
        self.dropped = 0
        """Lines that were not written, because too many waited."""
        self._stream = stream
        self._capacity = capacity
        self._descriptor = _reader_of(stream)
        self._begin()
        if self._descriptor is not None:
            atexit.register(self.flush, CLOSE_SECONDS)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._waiting: deque[str] = deque()
        self._characters = 0
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        self._is_idle = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Have one line, or several, written."""
        if self._descriptor is None:
            self._write_now(text + "\n")
            return
        if self._process != os.getpid():
            # A fork has neither the thread nor, for certain, an open lock.
            self._begin()
        with self._lock:
            if self._characters + len(text) > self._capacity:
                self.dropped += text.count("\n") + 1
                return
            self._waiting.append(text)
            self._characters += len(text)
            self._is_idle.clear()
            self._has_some.set()
            if self._thread is None:
                # A daemon: a reader that has stopped reading must not keep the process alive.
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> None:
        """Wait until everything is written, for so long at most."""
        if self._thread is not None and self._process == os.getpid():
            self._is_idle.wait(seconds)

    def _run(self) -> None:
        # For the other threads, which may wait for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            self._has_some.wait()
            with self._lock:
                texts = [*self._waiting]
                self._waiting.clear()
                self._has_some.clear()
            self._send("".join(f"{text}\n" for text in texts).encode(errors="backslashreplace"))
            with self._lock:
                # Only now: what a reader has not taken yet takes up as much memory as what waits.
                self._characters -= sum(map(len, texts))
                if not self._waiting:
                    self._is_idle.set()

    def _send(self, left: bytes) -> None:
        # Not through the stream: a process that is forked while it waits here would inherit the lock of its buffer.
        try:
            while left and self._descriptor is not None:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            # The reader is gone, and there is nowhere to report it. Work goes on.
            pass

    def _write_now(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # The disk is full, and there is nowhere to report it. Work goes on.
            pass


def _reader_of(stream: TextIO) -> int | None:
    """The descriptor of what has a reader."""
    try:
        descriptor = stream.fileno()
        return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
    except (OSError, ValueError):
        # It is in memory, or closed.
        return None
