"""A hub as drills act on it: one process on SQLite, and on Redis each role a process of its own."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.hub_process import ADMIN_KEY, HubProcess
from tests.faults.patience import until
from tests.redis_servers import RedisServer

ROLES = ("web", "worker", "scheduler")


class Hub:
    """Processes over one data directory and one store; `roles` has one entry a process.

    `settings` are `HUB_…` settings by lower-case name without the prefix, and may be changed while nothing runs.
    """

    def __init__(
        self, directory: Path, settings: Mapping[str, str] | None = None, roles: Sequence[str] = ("serve",)
    ) -> None:
        self.directory = directory
        self.settings = dict(settings or {})
        self.processes: list[HubProcess] = []
        for role in roles:
            self.add(role)

    def add(self, role: str) -> HubProcess:
        """One process more, which is not started yet."""
        process = HubProcess(self.directory, self.settings, role, f"{role}-{len(self.processes)}")
        self.processes.append(process)
        return process

    def having(self, *roles: str) -> list[HubProcess]:
        """The processes that have one of these roles."""
        return [process for process in self.processes if process.role in (*roles, "serve")]

    @property
    def web(self) -> HubProcess:
        """The first that answers requests."""
        return self.having("web")[0]

    @property
    def worker(self) -> HubProcess:
        """The first that delivers."""
        return self.having("worker")[0]

    @property
    def url(self) -> str:
        return self.web.url

    async def start(self, *, failpoints: str = "", wrapper: Sequence[str] = ()) -> float:
        """Start what does not run, and wait until all of it answers; gives the seconds that took. `wrapper` is a
        command that ends by running its arguments in its own place. Raises `HubDied`."""
        resting = [process for process in self.processes if not process.running]
        starts = await asyncio.gather(
            *(process.start(failpoints=failpoints, wrapper=wrapper) for process in resting), return_exceptions=True
        )
        for start in starts:
            if isinstance(start, BaseException):
                raise start
        return max(start for start in starts if isinstance(start, float))

    async def kill(self) -> None:
        """SIGKILL for all that live."""
        await asyncio.gather(*(process.kill() for process in self.processes))

    async def one_died(self, within: float) -> None:
        """Return once a process ended by itself. Raises `TimeoutError`."""

        async def died() -> bool:
            return not all(process.running for process in self.processes)

        await until(died, within, every=0.01)

    async def stop(self, within: float = PATIENCE_SECONDS) -> float:
        """SIGTERM for all; gives the seconds until they ended. Raises `TimeoutExpired`, and `AssertionError` when one
        failed."""
        return max(await asyncio.gather(*(process.stop(within) for process in self.processes)))

    def signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            process.signal(number)

    def client(self, key: str = ADMIN_KEY, *, timeout: float = PATIENCE_SECONDS) -> httpx.AsyncClient:
        """A client that takes no connection over from one life of the hub into the next."""
        return self.web.client(key, timeout=timeout)

    def said(self) -> str:
        """The end of everything that all processes, in all lives, wrote to their terminals."""
        return "\n".join(process.said() for process in self.processes)

    def rss_mb(self) -> float:
        """Resident memory of the largest process, in MiB."""
        return max(process.rss_mb() for process in self.processes if process.running)


def hub_on(server: RedisServer | None, directory: Path, settings: Mapping[str, str] | None = None) -> Hub:
    """A hub that keeps everything in its directory, or under a prefix of its own on a server."""
    if server is None:
        return Hub(directory, settings)
    return Hub(directory, {"store_url": server.url(), **(settings or {})}, ROLES)
