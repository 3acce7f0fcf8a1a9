"""Several processes for one: replaced when they die, ended with the one that watches, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.redis_servers import wait_until

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from hub.clock import SystemClock
from hub.server.supervisor import Supervisor

place, mode, patience = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])

def work(ready):
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "failing" or (mode == "failing later" and (place / "all").exists()):
        (place / f"{os.getpid()}.failed").touch()
        raise SystemExit(3)
    ready()
    (place / str(os.getpid())).touch()
    while True:
        time.sleep(60)

Supervisor(3, work, SystemClock(), patience=patience).run((place / "all").touch)
"""


class Supervised:
    def __init__(self, place: Path, mode: str, patience: float) -> None:
        self._place = place
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(place), mode, str(patience)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def ready(self) -> list[int]:
        """Ids of all processes that ever were ready."""
        return [int(path.name) for path in self._place.iterdir() if path.name.isdigit()]

    @property
    def failed(self) -> int:
        return len(list(self._place.glob("*.failed")))

    @property
    def alive(self) -> list[int]:
        return [pid for pid in self.ready if running(pid)]

    def serves(self) -> bool:
        return (self._place / "all").exists() and len(self.alive) == 3


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@contextmanager
def supervised(place: Path, mode: str = "well", patience: float = 10) -> Iterator[Supervised]:
    supervised = Supervised(place, mode, patience)
    try:
        yield supervised
    finally:
        supervised.process.kill()
        supervised.process.wait(PATIENCE_SECONDS)
        wait_until(lambda: not supervised.alive)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_all_its_processes(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path) as hub:
        wait_until(hub.serves)
        hub.process.send_signal(number)
        assert hub.process.wait(PATIENCE_SECONDS) in {-number, 1, 130}
        assert hub.alive == []


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    with supervised(tmp_path) as hub:
        wait_until(hub.serves)
        os.kill(hub.alive[0], signal.SIGKILL)
        wait_until(lambda: len(hub.ready) == 4 and len(hub.alive) == 3)


def test_when_the_first_cannot_start_it_ends_with_their_status(tmp_path: Path) -> None:
    with supervised(tmp_path, "failing") as hub:
        assert hub.process.wait(PATIENCE_SECONDS) == 3


def test_one_that_cannot_start_later_is_tried_again_while_the_others_work(tmp_path: Path) -> None:
    with supervised(tmp_path, "failing later") as hub:
        wait_until(hub.serves)
        os.kill(hub.alive[0], signal.SIGKILL)
        wait_until(lambda: hub.failed >= 2)
        assert len(hub.alive) == 2
        assert hub.process.poll() is None


def test_one_that_does_not_end_is_killed_when_patience_does(tmp_path: Path) -> None:
    with supervised(tmp_path, "stubborn", patience=0.3) as hub:
        wait_until(hub.serves)
        hub.process.terminate()
        assert hub.process.wait(PATIENCE_SECONDS) == -signal.SIGTERM
        assert hub.alive == []


def test_processes_end_when_the_one_that_watches_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path) as hub:
        wait_until(hub.serves)
        hub.process.kill()
        wait_until(lambda: not hub.alive)
