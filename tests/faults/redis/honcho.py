"""A hub as the Procfile has it, under honcho; what dies is started again."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.faults.hub import Hub
from tests.faults.hub_process import ROOT, START_SECONDS, environment
from tests.faults.patience import until
from tests.redis_servers import PROCFILE_PORTS, free_port

AGAIN = "while :; do {command}; sleep 0.2; done"
"""honcho ends everything when one process ends; where a hub is run for good, something starts again what dies."""
HONCHO = (sys.executable, "-m", "honcho", "-f", "Procfile", "start", "--no-colour")


class HonchoHub(Hub):
    """`formation` is how many processes of each kind of the Procfile there are."""

    def __init__(self, directory: Path, settings: Mapping[str, str], formation: Mapping[str, int]) -> None:
        super().__init__(directory, settings, ["web"] * formation["web"])
        self._formation = formation
        self._honcho: subprocess.Popen[bytes] | None = None
        base = free_port(PROCFILE_PORTS)
        for number, process in enumerate(self.processes):
            process.port = base + number

    async def start(self, *, failpoints: str = "", wrapper: Sequence[str] = ()) -> float:
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [line.partition(": ") for line in (ROOT / "Procfile").read_text().splitlines()]
        again = [f"{name}: {AGAIN.format(command=command)}\n" for name, _, command in lines]
        (self.directory / "Procfile").write_text("".join(again))
        started = asyncio.get_running_loop().time()
        self._honcho = self._launch({"failpoints": failpoints, **self.settings}, wrapper)
        await asyncio.gather(*(until(process.answers, START_SECONDS) for process in self.processes))
        return asyncio.get_running_loop().time() - started

    async def kill(self) -> None:
        if self._honcho is not None:
            # By groups, each of which is a line of the Procfile, so that nothing is started again meanwhile.
            for group in {os.getpgid(pid) for pid, _ in self._below()} | {self._honcho.pid}:
                os.killpg(group, signal.SIGKILL)
            await asyncio.to_thread(self._honcho.wait)

    def pids(self, role: str) -> list[int]:
        """The processes of a role that live now, oldest first."""
        return sorted(pid for pid, command in self._below() if re.search(rf"/hub\0{role}\0", command))

    def said(self) -> str:
        return (self.directory / "honcho.log").read_text(errors="replace")[-4_000:]

    def rss_mb(self) -> float:
        pids = [pid for role in self._formation for pid in self.pids(role)]
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
        return max(pages) * os.sysconf("SC_PAGESIZE") / 2**20

    def _launch(self, settings: Mapping[str, str], wrapper: Sequence[str]) -> subprocess.Popen[bytes]:
        formation = ",".join(f"{name}={count}" for name, count in self._formation.items())
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with (self.directory / "honcho.log").open("ab") as log:
            return subprocess.Popen(
                [*wrapper, *HONCHO, "-c", formation, "-p", str(self.processes[0].port)],
                cwd=self.directory,
                env={**environment(self.directory, {"host": "127.0.0.1", **settings}), "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _below(self) -> list[tuple[int, str]]:
        assert self._honcho is not None
        return list(below(self._honcho.pid))


def below(pid: int) -> Iterator[tuple[int, str]]:
    """The processes that this one started, and those started, with their command lines."""
    try:
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield child, Path(f"/proc/{child}/cmdline").read_text()
            yield from below(child)
    except (FileNotFoundError, ProcessLookupError):
        return
