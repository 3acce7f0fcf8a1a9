"""A program in a process of its own, and what it prints."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

from tests.serving import surroundings

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 40.0


class Program:
    """A running program. `lines` is what it has printed so far, errors included."""

    def __init__(self, *command: str, **settings: str) -> None:
        self.lines: list[str] = []
        self._new: Queue[str | None] = Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=surroundings(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def printed(self, pattern: str) -> re.Match[str]:
        """The first line that has the pattern, waited for. Raises `AssertionError` when none comes."""
        read = 0
        try:
            while True:
                for line in self.lines[read:]:
                    read += 1
                    if found := re.search(pattern, line):
                        return found
                if self._new.get(timeout=PATIENCE_SECONDS) is None:
                    break
        except Empty:
            pass
        raise AssertionError(f"nothing printed like {pattern}:\n" + "".join(self.lines))

    def ended(self) -> int:
        """The exit status, once it has ended by itself."""
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def close(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()
        self.ended()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._new.put(line)
        self._new.put(None)


@contextmanager
def running(*command: str, **settings: str) -> Iterator[Program]:
    """`python -m command` with these variables in its environment."""
    program = Program(*command, **settings)
    try:
        yield program
    finally:
        program.close()


@contextmanager
def serving_app(app: str, **settings: str) -> Iterator[tuple[Program, str]]:
    """An ASGI application of the examples, served as its docstring says, and its address."""
    with running("uvicorn", f"examples.{app}:app", "--port", "0", **settings) as program:
        yield program, program.printed(r"running on (http://\S+)")[1]
