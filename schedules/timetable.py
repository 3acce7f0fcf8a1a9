"""Named jobs on a timetable: APScheduler is the clock, and nothing here outlives the process."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
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
FIRST_RUN_SECONDS = 60.0
"""A job that is not known to have run is first due within this time, so that frequent restarts do not put it off."""
UNIT_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


class TimeSource(Protocol):
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
class TimetableEntry:
    """A line of the timetable; `next_run_at` is None while nobody knows it."""

    name: str
    trigger: str
    next_run_at: datetime | None
    last_run: Run | None


RecordRun = Callable[[Run], Awaitable[None]]
"""Writes down how a run ended."""


class Book(Protocol):
    """Where runs are written down, and who may run."""

    async def open(self, name: str, *, in_turn: bool) -> RecordRun | None:
        """What this run of the job is to be noted by; None when it is not to run here. `in_turn` is false when a
        person asked for it."""


class _Unwritten:
    """The book of a timetable that keeps none."""

    async def open(self, name: str, *, in_turn: bool) -> RecordRun | None:
        return self._forget

    async def _forget(self, run: Run) -> None: ...


class NotNow(Exception):
    """A job cannot run now, for a reason that is no fault of it; the text says which."""


class Timetable:
    """Runs each job when it is due, never twice at once, once for all the times that were missed.

    A failure is recorded and logged, and the job runs again when it is next due.
    """

    def __init__(self, jobs: Iterable[Job], clock: TimeSource, book: Book | None = None) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._triggers = {name: _parse(job.trigger) for name, job in self._jobs.items()}
        self._locks = {name: asyncio.Lock() for name in self._jobs}
        self._last_runs: dict[str, Run] = {}
        self._clock = clock
        self._book = book or _Unwritten()
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._clock_watch: asyncio.Task[None] | None = None
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            # The default grace of one second drops a run silently whenever the loop was busy that long.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self, names: Iterable[str] | None = None) -> None:
        """Begin with these jobs, or with all, in the running event loop; those marked `at_start` run at once."""
        self._scheduler.start()
        self._clock_watch = asyncio.create_task(self._watch_clock(), name="schedule clock watch")
        self.schedule(self._jobs if names is None else names)

    def schedule(self, names: Iterable[str], last_runs: Mapping[str, Run] | None = None) -> None:
        """Let these jobs run from now on, each when it is due after its last run, wherever that was."""
        for name in names:
            job, trigger, last_run = self._jobs[name], _parse(self._jobs[name].trigger), (last_runs or {}).get(name)
            line = self._scheduler.add_job(self._fire, trigger, args=(job,), id=name)
            left = self._seconds_until_due(name, last_run)
            if job.at_start or left <= 0:
                self._begin(job)
            elif isinstance(trigger, IntervalTrigger):
                # Counted from what the scheduler has chosen, because it is on the machine's own clock.
                line.modify(next_run_time=line.next_run_time - trigger.interval + timedelta(seconds=left))

    def unschedule(self, names: Iterable[str]) -> None:
        """Let these jobs run no more, and end what runs of them by itself."""
        for name in names:
            if self._scheduler.get_job(name) is not None:
                self._scheduler.remove_job(name)
            if (run := self._runs.get(name)) is not None:
                run.cancel()

    async def stop(self, grace: float) -> None:
        """Fire no more; let jobs under way go on for up to `grace` seconds, then cancel them."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
            # It takes effect when the loop comes to it, and until then a turn may begin that is to be waited for.
            await asyncio.sleep(0)
        if self._clock_watch is not None:
            self._clock_watch.cancel()
        runs = list(self._runs.values())
        if runs:
            await asyncio.wait(runs, timeout=grace)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    def entries(self, last_runs: Mapping[str, Run] | None = None) -> list[TimetableEntry]:
        """Every job, by name; `last_runs` are those of other processes, where they are known."""
        return [self._entry(name, (last_runs or {}).get(name)) for name in sorted(self._jobs)]

    def __contains__(self, name: object) -> bool:
        return name in self._jobs

    async def run_now(self, name: str) -> Report:
        """Run a job out of turn, after the run of it that may be under way.

        Raises `KeyError` for an unknown name, `NotNow`, and whatever the job raises.
        """
        return await self._run(self._jobs[name], in_turn=False)

    async def _fire(self, job: Job) -> None:
        # The scheduler's executor cancels what it runs when it is shut down, so a run is a task of our own.
        self._begin(job)

    def _begin(self, job: Job) -> None:
        if job.name in self._runs or self._locks[job.name].locked():
            _log.info("schedule skipped", schedule=job.name, reason="its last run is still under way")
            return
        run = self._runs[job.name] = asyncio.create_task(self._run_unattended(job), name=f"schedule {job.name}")
        run.add_done_callback(lambda _: self._runs.pop(job.name, None))

    async def _run_unattended(self, job: Job) -> None:
        try:
            await self._run(job, in_turn=True)
        except NotNow as reason:
            _log.info("schedule skipped", schedule=job.name, reason=str(reason))
        except Exception:  # noqa: BLE001 - one job that fails must stop neither itself for good nor the others
            _log.exception("schedule failed", schedule=job.name)

    async def _run(self, job: Job, *, in_turn: bool) -> Report:
        async with self._locks[job.name]:
            note = await self._book.open(job.name, in_turn=in_turn)
            if note is None:
                raise NotNow("another process runs it")
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
                run = self._last_runs[job.name] = Run(started_at, seconds, outcome, error)
                await note(run)
            _log.debug("schedule ran", schedule=job.name, seconds=seconds, report=report)
            return report

    def _entry(self, name: str, elsewhere: Run | None) -> TimetableEntry:
        here = self._last_runs.get(name)
        last_run = max(filter(None, (here, elsewhere)), key=lambda run: run.started_at, default=None)
        # Until the scheduler is started its jobs have no such attribute.
        next_run_at = getattr(self._scheduler.get_job(name), "next_run_time", None)
        return TimetableEntry(name, self._jobs[name].trigger, next_run_at or self._due_after(name, last_run), last_run)

    def _due_after(self, name: str, last_run: Run | None) -> datetime | None:
        if last_run is None:
            return None
        due: datetime | None = self._triggers[name].get_next_fire_time(last_run.started_at, last_run.started_at)
        return due

    def _seconds_until_due(self, name: str, last_run: Run | None) -> float:
        due = self._due_after(name, last_run)
        trigger = self._triggers[name]
        if due is not None:
            return (due - self._clock.now()).total_seconds()
        return min(FIRST_RUN_SECONDS, trigger.interval_length) if isinstance(trigger, IntervalTrigger) else inf

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
            if isinstance(trigger, IntervalTrigger) and self._scheduler.get_job(name) is not None:
                self._scheduler.reschedule_job(name, trigger=trigger)


def _parse(trigger: str) -> IntervalTrigger | CronTrigger:
    """Raises `ValueError` for a trigger that cannot be read."""
    if interval := re.fullmatch(r"every ([1-9]\d*) (s|min|h|d)", trigger):
        return IntervalTrigger(seconds=int(interval[1]) * UNIT_SECONDS[interval[2]], timezone=UTC)
    cron = CronTrigger.from_crontab(trigger, timezone=UTC)
    if re.search(r"\d\S*$", trigger):
        # APScheduler counts from Monday, crontab from Sunday.
        raise ValueError(f"name the days of the week (mon, tue, …) in {trigger!r}: their numbers are ambiguous")
    return cron
