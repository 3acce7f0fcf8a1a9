"""Several processes that do the same: forked, started again when they die, and ended together."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import structlog

from hub.clock import Clock

RESTART_SECONDS = 1.0
"""Before the place is taken of a process that died before it was ready; of one that was ready it is taken at once."""
LOOK_SECONDS = 0.05
"""Between looks at whether processes that were started are ready."""
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_log = structlog.get_logger(__name__)

Work = Callable[[Callable[[], None]], None]
"""Does the work until its process is told to end, and calls its argument once it is ready. What it raises comes out of
`Supervisor.run`, in that process."""


class Supervisor:
    """Watches, and does nothing else: it has neither an event loop nor threads, so that it can fork at any time.

    A process that is told to end gets `patience` seconds before it is killed.
    """

    def __init__(self, number: int, work: Work, clock: Clock, *, patience: float) -> None:
        self._number = number
        self._work = work
        self._clock = clock
        self._patience = patience
        self._children: dict[int, int] = {}
        """By process id, the descriptor at which a child that is ready says so, and one that died is at its end."""
        self._waiting: set[int] = set()
        """Those that are not ready yet."""
        self._starts: list[float] = []
        """When places are to be taken again."""
        self._served = False
        self._lifeline = os.pipe()

    def run(self, on_ready: Callable[[], None]) -> NoReturn:
        """Until SIGTERM or SIGINT, which then ends this process too; `on_ready` is called when first all are ready.

        Raises `SystemExit` when one of the first does not come to be ready; it has said why.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        gc.freeze()
        self._starts = [self._clock.monotonic()] * self._number
        while True:
            self._take_places()
            told = self._wait()
            if told in {signal.SIGTERM, signal.SIGINT}:
                break
            self._reap()
            self._hear()
            if not self._served and not self._waiting and len(self._children) == self._number:
                self._served = True
                on_ready()
        self._stop()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        signal.raise_signal(told)
        raise AssertionError("the signal has ended the process")

    def _take_places(self) -> None:
        now = self._clock.monotonic()
        due = sum(at <= now for at in self._starts)
        self._starts = [at for at in self._starts if at > now]
        for _ in range(due):
            heard, said = os.pipe()
            os.set_blocking(heard, False)
            pid = os.fork()
            if pid == 0:
                self._be_child(said)
            os.close(said)
            self._children[pid] = heard
            self._waiting.add(pid)

    def _be_child(self, ready: int) -> NoReturn:
        os.close(self._lifeline[1])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        threading.Thread(target=_end_with_parent, args=(self._lifeline[0],), daemon=True).start()

        def say_so() -> None:
            os.write(ready, b"!")
            os.close(ready)

        self._work(say_so)
        sys.exit()

    def _wait(self) -> int | None:
        """The next signal, or None when it is time to look at something."""
        if self._waiting:
            seconds = LOOK_SECONDS
        elif self._starts:
            seconds = max(0.0, min(self._starts) - self._clock.monotonic())
        else:
            return signal.sigwait(_SIGNALS)
        info = signal.sigtimedwait(_SIGNALS, seconds)
        return info.si_signo if info is not None else None

    def _hear(self) -> None:
        for pid in [*self._waiting]:
            with suppress(BlockingIOError):
                if os.read(self._children[pid], 1):
                    self._waiting.discard(pid)

    def _reap(self) -> None:
        """Note which died, and when their places are to be taken again."""
        self._hear()
        for pid in [*self._children]:
            dead, status = os.waitpid(pid, os.WNOHANG)
            if dead:
                self._on_exit(pid, os.waitstatus_to_exitcode(status))

    def _on_exit(self, pid: int, status: int) -> None:
        os.close(self._children.pop(pid))
        if pid not in self._waiting:
            _log.error("a process died and is replaced", pid=pid, status=status)
            self._starts.append(self._clock.monotonic())
            return
        self._waiting.discard(pid)
        if not self._served:
            self._stop()
            sys.exit(abs(status) or 1)
        _log.error("a process could not start and is tried again", pid=pid, status=status)
        self._starts.append(self._clock.monotonic() + RESTART_SECONDS)

    def _stop(self) -> None:
        """Let all end, and end those that do not."""
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = self._clock.monotonic() + self._patience
        while self._children:
            left = deadline - self._clock.monotonic()
            for pid in [*self._children]:
                if left <= 0:
                    os.kill(pid, signal.SIGKILL)
                if os.waitpid(pid, os.WNOHANG)[0]:
                    os.close(self._children.pop(pid))
            if self._children:
                signal.sigtimedwait({signal.SIGCHLD}, min(max(left, LOOK_SECONDS), 1.0))


def _end_with_parent(lifeline: int) -> None:
    """Nobody writes to it: it ends when the process does that alone holds its other end."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
