"""A hub in a process of its own, started as an operator starts it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

from hub.testing.patience import PATIENCE_SECONDS
from tests.redis_servers import RedisServer

HUB = Path(sys.executable).with_name("hub")
SERVE = ("serve", "--port", "0")
PLATFORM = {"PORT", "WEB_CONCURRENCY"}


def surroundings(**settings: str) -> dict[str, str]:
    """An environment without the settings of the person, or the platform, that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_") and name not in PLATFORM}
    return {**kept, **settings}


def kept_on(server: RedisServer | None) -> dict[str, str]:
    """The setting with which a hub keeps everything on a server, under a prefix of its own; none for a file."""
    return {} if server is None else {"HUB_STORE_URL": server.url()}


class ServedHub:
    """A running process of the hub. `lines` is what it has printed on standard error so far."""

    def __init__(self, directory: Path, settings: Mapping[str, str], command: Sequence[str] = SERVE) -> None:
        self.data_dir = directory / "var"
        self.lines: list[str] = []
        self.url = ""
        self._new: Queue[str | None] = Queue()
        self.process = subprocess.Popen(
            [HUB, *command],
            cwd=directory,
            env=surroundings(**settings),
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def key(self) -> str:
        return (self.data_dir / "admin.key").read_text().strip()

    def wait_until_it_serves(self) -> None:
        served = self.wait_for_line(r"serves (http://\S+);|is running(?:; its health is at (http://\S+)/readyz)?")
        self.url = served[1] or served[2] or ""

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """The next line that has the pattern. Raises `AssertionError` when the process ends or is silent instead."""
        try:
            while (line := self._new.get(timeout=PATIENCE_SECONDS)) is not None:
                if found := re.search(pattern, line):
                    return found
        except Empty:
            pass
        raise AssertionError("the hub did not say so:\n" + "".join(self.lines))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit status, -15 for one that ended by SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            self._new.put(line)
        self._new.put(None)


@contextmanager
def serving(directory: Path, *command: str, **settings: str) -> Iterator[ServedHub]:
    """A hub that serves from this directory, with its data in `var` there; killed in the end if it still runs.

    It plays every role, unless the command says otherwise.
    """
    hub = ServedHub(directory, settings, command or SERVE)
    try:
        hub.wait_until_it_serves()
        yield hub
    finally:
        hub.process.kill()
        hub.stop()
