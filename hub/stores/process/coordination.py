"""Leases, signals, reports and schedule runs of a store that only one process has open."""

import asyncio
from collections.abc import Collection, Mapping
from itertools import count

from hub.clock import Clock
from hub.stores.base import Leases, Reports, Schedules, Signal, Signals


class ProcessLeases(Leases):
    """Leases end with the process, because only its own parts can hold them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # One sequence for all leases, so that a token is never given twice, whatever happens to the entry of a name.
        self._tokens = count(1)
        self._held: dict[str, tuple[str, int, float]] = {}
        """By name: the holder, its token, and when the lease ends, in monotonic seconds."""

    async def acquire(self, name: str, holder: str, seconds: float) -> int | None:
        self._forget_ended()
        present, token, _ = self._held.get(name, (holder, 0, 0.0))
        if present != holder:
            return None
        token = token or next(self._tokens)
        self._held[name] = holder, token, self._clock.monotonic() + seconds
        return token

    async def release(self, name: str, holder: str) -> None:
        if self._held.get(name, ("",))[0] == holder:
            del self._held[name]

    async def held(self, names: Collection[str]) -> frozenset[str]:
        self._forget_ended()
        return frozenset(names) & self._held.keys()

    async def held_under(self, prefix: str) -> frozenset[str]:
        self._forget_ended()
        return frozenset(name for name in self._held if name.startswith(prefix))

    def _forget_ended(self) -> None:
        now = self._clock.monotonic()
        for name in [name for name, (_, _, until) in self._held.items() if until <= now]:
            del self._held[name]


class ProcessSignals(Signals):
    """Never gives a signal: no other process has the store open, and this one notifies its own parts directly."""

    async def next(self) -> Signal:
        never: asyncio.Future[Signal] = asyncio.get_running_loop().create_future()
        return await never


class ProcessReports(Reports):
    """What this process told itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reports: dict[str, tuple[bytes, float]] = {}
        """The report and when its time is up, by the name of who told it."""

    async def put(self, name: str, report: bytes, seconds: float) -> None:
        self._reports[name] = report, self._clock.monotonic() + seconds

    async def told(self) -> Mapping[str, bytes]:
        now = self._clock.monotonic()
        self._reports = {name: kept for name, kept in self._reports.items() if kept[1] > now}
        return {name: report for name, (report, _) in self._reports.items()}


class ProcessSchedules(Schedules):
    """The last run of each schedule, until the process ends."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[int, bytes]] = {}
        """The fencing token and the run, by the name of the schedule."""

    async def record(self, name: str, run: bytes, token: int) -> bool:
        if self._runs.get(name, (token,))[0] > token:
            return False
        self._runs[name] = token, run
        return True

    async def runs(self) -> Mapping[str, bytes]:
        return {name: run for name, (_, run) in self._runs.items()}
