"""Named jobs on a timetable: APScheduler is the clock, and nothing here outlives the process."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import structlog
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

_log = structlog.get_logger(__name__)

Report = Mapping[str, Any]
"""What a run did, as JSON."""
Outcome = Literal["succeeded", "failed", "cancelled"]
CLOCK_CHECK_SECONDS = 5.0
CLOCK_STEP_SECONDS = 1.0
UNIT_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


class Clock(Protocol):
    """Aware UTC instants, and seconds that never go backwards."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do again and again. `trigger` is `every 10 min` (`s`, `min`, `h`, `d`), or a crontab line in UTC."""

    name: str
    trigger: str
    run: Callable[[], Awaitable[Report]]
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended. `error` names the kind of failure only; the log has the rest."""

    started_at: datetime
    duration_seconds: float
    outcome: Outcome
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timetable; `next_run_at` is None while it is not started."""

    name: str
    trigger: str
    next_run_at: datetime | None
    last_run: Run | None


class Timetable:
    """Runs each job when it is due, never twice at once, once for all the times that were missed.

    A failure is recorded and logged, and the job runs again when it is next due.
    """

    def __init__(self, jobs: Iterable[Job], clock: Clock) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._locks = {name: asyncio.Lock() for name in self._jobs}
        self._last_runs: dict[str, Run] = {}
        self._clock = clock
        self._runs: set[asyncio.Task[None]] = set()
        self._clock_watch: asyncio.Task[None] | None = None
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            # The default grace of one second drops a run silently whenever the loop was busy that long.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for job in self._jobs.values():
            self._scheduler.add_job(self._fire, _parse(job.trigger), args=(job,), id=job.name)

    def start(self) -> None:
        """Begin, in the running event loop; jobs marked `at_start` run at once."""
        self._scheduler.start()
        self._clock_watch = asyncio.create_task(self._watch_clock(), name="schedule clock watch")
        for job in self._jobs.values():
            if job.at_start:
                self._begin(job)

    async def stop(self, grace: float) -> None:
        """Fire no more; let jobs under way go on for up to `grace` seconds, then cancel them."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
            # It takes effect when the loop comes to it, and until then a turn may begin that is to be waited for.
            await asyncio.sleep(0)
        if self._clock_watch is not None:
            self._clock_watch.cancel()
        if self._runs:
            await asyncio.wait(self._runs, timeout=grace)
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def entries(self) -> list[Entry]:
        """Every job, by name."""
        return [
            Entry(name, job.trigger, self._next_run_at(name), self._last_runs.get(name))
            for name, job in sorted(self._jobs.items())
        ]

    def __contains__(self, name: object) -> bool:
        return name in self._jobs

    async def run_now(self, name: str) -> Report:
        """Run a job out of turn, after the run of it that may be under way.

        Raises `KeyError` for an unknown name, and whatever the job raises.
        """
        job = self._jobs[name]
        async with self._locks[name]:
            return await self._run(job)

    async def _fire(self, job: Job) -> None:
        # The scheduler's executor cancels what it runs when it is shut down, so a run is a task of our own.
        self._begin(job)

    def _begin(self, job: Job) -> None:
        if self._locks[job.name].locked():
            _log.info("schedule skipped", schedule=job.name, reason="its last run is still under way")
            return
        run = asyncio.create_task(self._run_unattended(job), name=f"schedule {job.name}")
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    async def _run_unattended(self, job: Job) -> None:
        try:
            await self.run_now(job.name)
        except Exception:  # noqa: BLE001 - one job that fails must stop neither itself for good nor the others
            _log.exception("schedule failed", schedule=job.name)

    async def _run(self, job: Job) -> Report:
        started_at, started = self._clock.now(), self._clock.monotonic()
        outcome: Outcome = "cancelled"
        error = None
        try:
            report = await job.run()
            outcome = "succeeded"
        except Exception as failure:
            outcome, error = "failed", type(failure).__name__
            raise
        finally:
            seconds = self._clock.monotonic() - started
            self._last_runs[job.name] = Run(started_at, seconds, outcome, error)
        _log.debug("schedule ran", schedule=job.name, seconds=seconds, report=report)
        return report

    async def _watch_clock(self) -> None:
        """Start intervals anew when the wall clock is set back; else nothing would run until it has caught up."""
        ahead = self._ahead()
        while True:
            await self._clock.sleep(CLOCK_CHECK_SECONDS)
            before, ahead = ahead, self._ahead()
            if ahead < before - CLOCK_STEP_SECONDS:
                _log.warning("clock set back", seconds=before - ahead)
                self._restart_intervals()

    def _ahead(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _restart_intervals(self) -> None:
        for name, job in self._jobs.items():
            trigger = _parse(job.trigger)
            if isinstance(trigger, IntervalTrigger):
                self._scheduler.reschedule_job(name, trigger=trigger)

    def _next_run_at(self, name: str) -> datetime | None:
        job = self._scheduler.get_job(name)
        # Until the scheduler is started its jobs have no such attribute.
        next_run_at: datetime | None = getattr(job, "next_run_time", None)
        return next_run_at


def _parse(trigger: str) -> IntervalTrigger | CronTrigger:
    """Raises `ValueError` for a trigger that cannot be read."""
    if interval := re.fullmatch(r"every ([1-9]\d*) (s|min|h|d)", trigger):
        return IntervalTrigger(seconds=int(interval[1]) * UNIT_SECONDS[interval[2]], timezone=UTC)
    cron = CronTrigger.from_crontab(trigger, timezone=UTC)
    if re.search(r"\d\S*$", trigger):
        # APScheduler counts from Monday, crontab from Sunday.
        raise ValueError(f"name the days of the week (mon, tue, …) in {trigger!r}: their numbers are ambiguous")
    return cron
