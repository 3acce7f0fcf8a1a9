"""Several equal processes: forked, replaced when they die, and stopped together."""

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
"""The wait before a process that died before it was ready is replaced; one that was ready is replaced at once."""
LOOK_SECONDS = 0.05
"""Between checks whether started processes are ready."""
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_log = structlog.get_logger(__name__)

Work = Callable[[Callable[[], None]], None]
"""Works until its process is told to stop, and calls its argument once it is ready. In that process, `Supervisor.run`
raises what this raises."""


class Supervisor:
    """Forks the processes and watches them. It has no event loop, and no thread but that of the log, which
    is made for that, so that it can fork at any time.

    A process that is told to stop has `patience` seconds before it is killed.

    Example:

        from hub.clock import SystemClock

        Supervisor(4, serve_requests, SystemClock(), patience=20.0).run(lambda: print("all four are ready"))
    """

    def __init__(self, number: int, work: Work, clock: Clock, *, patience: float) -> None:
        self._number = number
        self._work = work
        self._clock = clock
        self._patience = patience
        self._children: dict[int, int] = {}
        """By process id, the reading end of the pipe in which the child says that it is ready."""
        self._waiting: set[int] = set()
        """Process ids of the children that are not ready yet."""
        self._starts: list[float] = []
        """When the next children are to be forked, on the monotonic clock."""
        self._served = False
        self._lifeline = os.pipe()

    def run(self, on_ready: Callable[[], None]) -> NoReturn:
        """Run until SIGTERM or SIGINT, which then ends this process too; `on_ready` is called once all are ready.

        Raises `SystemExit` when one of the first processes dies before it is ready; that process has said why.
        """
        # Blocked signals are kept until they are waited for, so none can be missed between two looks.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        # A collection in a child would write to every object, and so copy the memory that it shares with this process.
        gc.freeze()
        self._starts = [self._clock.monotonic()] * self._number
        while True:
            self._fork_due()
            signal_number = self._wait()
            if signal_number in {signal.SIGTERM, signal.SIGINT}:
                break
            self._reap()
            self._read_ready()
            if not self._served and not self._waiting and len(self._children) == self._number:
                self._served = True
                on_ready()
        self._stop()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # Ended by the signal and not by an exit status: whatever started the hub sees that it did what it was told.
        signal.raise_signal(signal_number)
        raise AssertionError("the signal has ended the process")

    def _fork_due(self) -> None:
        now = self._clock.monotonic()
        due = sum(at <= now for at in self._starts)
        self._starts = [at for at in self._starts if at > now]
        for _ in range(due):
            ready, said = os.pipe()
            os.set_blocking(ready, False)
            pid = os.fork()
            if pid == 0:
                self._run_child(said)
            os.close(said)
            self._children[pid] = ready
            self._waiting.add(pid)

    def _run_child(self, ready: int) -> NoReturn:
        # With a copy of the writing end in a child, the reading end would never be at its end.
        os.close(self._lifeline[1])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        threading.Thread(target=_end_with_parent, args=(self._lifeline[0],), daemon=True).start()

        def on_ready() -> None:
            os.write(ready, b"!")
            os.close(ready)

        self._work(on_ready)
        sys.exit()

    def _wait(self) -> int | None:
        """The next signal, or None when a child may be ready or a fork is due."""
        if self._waiting:
            seconds = LOOK_SECONDS
        elif self._starts:
            seconds = max(0.0, min(self._starts) - self._clock.monotonic())
        else:
            return signal.sigwait(_SIGNALS)
        info = signal.sigtimedwait(_SIGNALS, seconds)
        return info.si_signo if info is not None else None

    def _read_ready(self) -> None:
        for pid in [*self._waiting]:
            with suppress(BlockingIOError):
                if os.read(self._children[pid], 1):
                    self._waiting.discard(pid)

    def _reap(self) -> None:
        """Collect the children that died."""
        # A child that was ready and died since the last look has to count as one that was ready.
        self._read_ready()
        for pid in [*self._children]:
            # Each child is asked, because one SIGCHLD may stand for the death of several.
            dead, status = os.waitpid(pid, os.WNOHANG)
            if dead:
                self._on_exit(pid, os.waitstatus_to_exitcode(status))

    def _on_exit(self, pid: int, status: int) -> None:
        os.close(self._children.pop(pid))
        if pid not in self._waiting:
            _log.error("process.died", pid=pid, status=status)
            self._starts.append(self._clock.monotonic())
            return
        self._waiting.discard(pid)
        if not self._served:
            self._stop()
            # The first start failed, which is most often a wrong setting: trying again would only hide that.
            sys.exit(abs(status) or 1)
        _log.error("process.start_failed", pid=pid, status=status)
        self._starts.append(self._clock.monotonic() + RESTART_SECONDS)

    def _stop(self) -> None:
        """Tell all children to stop, and kill those that do not within the patience."""
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
    """Stop this process when its parent is gone. Nothing is ever written to the lifeline: reading it returns when the
    parent dies, which alone holds the other end."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
