"""One process of the hub: stopped, killed and measured as an operator would."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from hub.testing.patience import PATIENCE_SECONDS
from tests.forks import HUB, ForkedProcess
from tests.plain_http import NO_TLS
from tests.redis_servers import free_port

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("hub"))
ADMIN_KEY = "canary-admin-key-that-no-log-may-ever-show"
START_SECONDS = PATIENCE_SECONDS


class HubDied(Exception):
    """The process ended before it served; the text is what it said."""


class HubProcess:
    """`hub serve`, `hub web`, `hub worker` or `hub scheduler`, on one port through any number of lives.

    `settings` are `HUB_…` settings by lower-case name without the prefix. A worker and a scheduler answer at their port
    only how they are.
    """

    def __init__(
        self, directory: Path, settings: Mapping[str, str] | None = None, role: str = "serve", name: str = "hub"
    ) -> None:
        self.role = role
        self.host = "127.0.0.1"
        self.port = 0
        self._directory = directory
        self._settings = {} if settings is None else settings
        self.own: dict[str, str] = {}
        """Settings that this process has other than the rest of its hub."""
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self, *, failpoints: str = "", wrapper: Sequence[str] = ()) -> float:
        """Start and wait until it answers; gives the seconds that took. `wrapper` is a command that ends by running its
        arguments in its own place. Raises `HubDied`."""
        assert not self.running
        self._directory.mkdir(parents=True, exist_ok=True)
        offset = self._log.stat().st_size if self._log.exists() else 0
        self.port = self.port or free_port()
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._process = self._launch(failpoints, wrapper)
        while loop.time() - started < START_SECONDS:
            if await self.answers():
                return loop.time() - started
            if self._process.poll() is not None:
                raise HubDied(self._log.read_bytes()[offset:].decode())
            await asyncio.sleep(0.02)
        await self.kill()
        raise HubDied(f"not serving after {START_SECONDS:g} s")

    async def kill(self) -> None:
        """SIGKILL, if it lives."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
            await self.ended(PATIENCE_SECONDS)

    async def ended(self, within: float) -> int:
        """The exit status, once it ended by itself. Raises `TimeoutExpired`."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, within)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def stop(self, within: float = PATIENCE_SECONDS) -> float:
        """SIGTERM; gives the seconds until it ended. Raises `TimeoutExpired`, and `AssertionError` when it failed."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.signal(signal.SIGTERM)
        status = await self.ended(within)
        # uvicorn takes its own handlers off and raises the signal again, so that parents see what ended it.
        assert status in (0, -signal.SIGTERM, 128 + signal.SIGTERM), f"ended with {status}: {self.said()}"
        return loop.time() - started

    def client(self, key: str = ADMIN_KEY, *, timeout: float = PATIENCE_SECONDS) -> httpx.AsyncClient:
        """A client that takes no connection over from one life of the process into the next."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout,
            limits=httpx.Limits(max_keepalive_connections=0),
            verify=NO_TLS,
            trust_env=False,
        )

    def said(self) -> str:
        """The end of everything that all lives wrote to their terminal."""
        return self._log.read_text(errors="replace")[-4_000:]

    def rss_mb(self) -> float:
        """Resident memory, in MiB."""
        return self._memory_mb("VmRSS")

    def forget_peak(self) -> float:
        """Measure the peak from now on; gives the resident memory of now, in MiB."""
        # https://docs.kernel.org/filesystems/proc.html: 5 resets the peak to what is resident
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.rss_mb()

    def peak_mb(self) -> float:
        """The most memory that was resident since `forget_peak`, in MiB."""
        return self._memory_mb("VmHWM")

    def _memory_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found.group(1)) / 1024

    def cpu_seconds(self) -> float:
        """How long it has worked in this life, which is the same beside whatever else the machine does."""
        # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: utime and stime, after the name in brackets
        ticks = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    async def answers(self) -> bool:
        """Whether it answers requests."""
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            writer.write(b"GET /livez HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            await writer.wait_closed()
        except OSError:
            return False
        return b" 200 " in status

    def _launch(self, failpoints: str, wrapper: Sequence[str]) -> subprocess.Popen[bytes] | ForkedProcess:
        env = self._environment(failpoints)
        with self._log.open("ab") as log:
            if not wrapper:
                return ForkedProcess(HUB, [self.role], cwd=self._directory, env=env, stdout=log.fileno())
            return subprocess.Popen(
                [*wrapper, COMMAND, self.role],
                cwd=self._directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self, failpoints: str) -> dict[str, str]:
        port = "port" if self.role in ("serve", "web") else "health_port"
        place = {"host": self.host, port: str(self.port), "failpoints": failpoints}
        return environment(self._directory, {**place, **self._settings, **self.own})


def environment(directory: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What a process of a hub in this directory is started with: nothing of the settings of who runs the drills."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    defaults = {
        "data_dir": str(directory / "data"),
        "admin_key": ADMIN_KEY,
        "allow_private_targets": "127.0.0.0/8,::1/128",
        "log_level": "warning",
    }
    ours = {f"HUB_{name.upper()}": value for name, value in {**defaults, **settings}.items()}
    # PYTHONPATH first, so that a copy of the tree with a defect put in runs its own code.
    return {**inherited, **ours, "PYTHONPATH": str(ROOT), "COLUMNS": "1000", "TERM": "dumb"}
