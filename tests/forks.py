"""Processes of the hub at a fraction of the cost: forked from one that has imported everything, and runs nothing.

Starting Python and importing the hub takes seconds of a core, and the tests start hundreds of processes. What is forked
runs the same entry point, with a directory, an environment, descriptors and a session of its own, and ends as any
process ends. The command itself is started by the tests of the command line.

Run as `python -m tests.forks DESCRIPTOR`, the other end of the connection that `_Server` holds.
"""

import atexit
import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, TypedDict

import orjson

from hub.testing.patience import PATIENCE_SECONDS

ROOT: Final = Path(__file__).resolve().parents[1]
HUB: Final = "hub.cli:main"
_PRELOADED: Final = ("hub.cli", "hub.server.server", "channels.discovery", "tests.faults.receiver_process")
_REQUEST_BYTES: Final = 1_000_000
_STATUS: Final = struct.Struct("i")


class _Request(TypedDict):
    entry: str
    arguments: list[str]
    directory: str
    environment: dict[str, str]


class ForkedProcess:
    """What `subprocess.Popen` gives, as far as the tests ask for it. `entry` is a module and a function in it, as in an
    entry point; standard input is empty."""

    def __init__(
        self,
        entry: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int,
        stderr: int = -1,
    ) -> None:
        """`stderr` goes with `stdout` unless it is given. Both are descriptors, which stay open here."""
        request = _Request(entry=entry, arguments=[*arguments], directory=str(cwd), environment=dict(env))
        self.returncode: int | None = None
        self._status, theirs = os.pipe()
        try:
            self.pid = _server().fork(request, [theirs, stdout, stdout if stderr < 0 else stderr])
        finally:
            os.close(theirs)

    def poll(self) -> int | None:
        """The exit status, or minus the number of the signal that ended it; None while it runs."""
        return self._read(0.0)

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        """The same, once it has ended. Raises `TimeoutExpired`."""
        if (status := self._read(timeout)) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _read(self, seconds: float) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], seconds)[0]:
            (self.returncode,) = _STATUS.unpack(os.read(self._status, _STATUS.size))
            os.close(self._status)
        return self.returncode


class _Server:
    """The process that forks. It ends with the one that started it, and those that it forked live on."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forks", str(theirs.fileno())],
                cwd=ROOT,
                # A terminal's width is read when its module is imported.
                env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000", "TERM": "dumb"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(self, request: _Request, descriptors: Sequence[int]) -> int:
        socket.send_fds(self._connection, [orjson.dumps(request)], descriptors)
        return int.from_bytes(self._connection.recv(4), "big")

    def close(self) -> None:
        self._connection.close()
        self._process.wait()


@cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server


def _serve(connection: socket.socket) -> _Request | None:
    """Fork for each request; gives it in the process that was forked, and None here once nobody asks any more."""
    children: dict[int, int] = {}
    ended, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([connection, ended], [], [])
        if ended in readable:
            ended.recv(4_096)
            _reap(children)
        if connection in readable:
            content, descriptors, _, _ = socket.recv_fds(connection, _REQUEST_BYTES, 3)
            if not content:
                return None
            status, stdout, stderr = descriptors
            if (pid := os.fork()) == 0:
                _leave([connection, ended, wakes], [status, *children.values()])
                request: _Request = orjson.loads(content)
                _become(request, stdout, stderr)
                return request
            children[pid] = status
            os.close(stdout)
            os.close(stderr)
            connection.send(pid.to_bytes(4, "big"))


def _reap(children: dict[int, int]) -> None:
    """Pass on how those ended that have."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            status = children.pop(ended[0])
            # Nobody may be there to read it any more.
            with suppress(BrokenPipeError):
                os.write(status, _STATUS.pack(os.waitstatus_to_exitcode(ended[1])))
            os.close(status)


def _leave(sockets: Sequence[socket.socket], descriptors: Sequence[int]) -> None:
    """Keep nothing of the server in a process that was forked."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in sockets:
        each.close()
    for descriptor in descriptors:
        os.close(descriptor)


def _become(request: _Request, stdout: int, stderr: int) -> None:
    os.setsid()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["entry"], *request["arguments"]]


def _main() -> object:
    for module in _PRELOADED:
        importlib.import_module(module)
    # What is there now is never freed, so that collecting garbage copies none of it.
    gc.freeze()
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    return pkgutil.resolve_name(request["entry"])() if request else None


if __name__ == "__main__":
    sys.exit(_main())  # type: ignore[arg-type] # an exit status or None
