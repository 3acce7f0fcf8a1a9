"""A program in a process of its own, and what it prints."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.testing.patience import PATIENCE_SECONDS
from tests.serving import surroundings

ROOT = Path(__file__).parents[2]


class Program:
    """A running program. `lines` is what it has printed so far, errors included."""

    def __init__(self, *command: str, **settings: str) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._is_over = False
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

    def printed(self, pattern: str, times: int = 1) -> re.Match[str]:
        """What the latest of `times` lines with the pattern has of it, waited for. Raises `AssertionError`."""
        with self._news:
            self._news.wait_for(lambda: self._is_over or len(self._found(pattern)) >= times, PATIENCE_SECONDS)
            found = self._found(pattern)
        assert len(found) >= times, f"{len(found)} lines have {pattern}:\n" + "".join(self.lines)
        return found[-1]

    def _found(self, pattern: str) -> list[re.Match[str]]:
        return [found for line in self.lines if (found := re.search(pattern, line))]

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
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._is_over = True
            self._news.notify_all()


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
