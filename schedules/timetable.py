"""Named jobs on a timetable. APScheduler decides when they are due; nothing here outlives the process."""

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
"""What a run did, as a JSON object."""
Outcome = Literal["succeeded", "failed", "cancelled"]
CLOCK_CHECK_SECONDS = 5.0
CLOCK_STEP_SECONDS = 1.0
FIRST_RUN_SECONDS = 60.0
"""A job whose last run is unknown is due within this time, so that frequent restarts do not keep postponing it."""
UNIT_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


class TimeSource(Protocol):
    """The time of day as aware UTC instants, and monotonic seconds."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is repeated. `trigger` is `every 10 min` (units: `s`, `min`, `h`, `d`), or a crontab line in UTC."""

    name: str
    trigger: str
    run: Callable[[], Awaitable[Report]]
    at_start: bool = False
    """Whether the job also runs as soon as it is on the timetable."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended. `error` is only the class of the exception, because clients see it; the log has the rest."""

    started_at: datetime
    duration_seconds: float
    outcome: Outcome
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TimetableEntry:
    """A job with its next and its last run. `next_run_at` is None while it is unknown."""

    name: str
    trigger: str
    next_run_at: datetime | None
    last_run: Run | None


RecordRun = Callable[[Run], Awaitable[None]]
"""Records how a run ended."""


class History(Protocol):
    """Decides whether a run may begin in this process, and keeps how it ended."""

    async def begin_run(self, name: str, *, scheduled: bool) -> RecordRun | None:
        """Called before each run of the job. Returns what records the run, or None when the job must not run here.

        `scheduled` is false when a person asked for the run. Raises `CannotRunNow`.
        """


class _NoHistory:
    """Lets every run begin, and records none."""

    async def begin_run(self, name: str, *, scheduled: bool) -> RecordRun | None:
        return self._discard

    async def _discard(self, run: Run) -> None: ...


class CannotRunNow(Exception):
    """A job cannot run now, for a reason outside of the job. The text says which."""


class Timetable:
    """Runs each job when it is due: never twice at the same time, and only once for all the times that were missed.

    A failure is recorded and logged, and the job runs again when it is next due.

    Example:

        async def clean_up() -> Report:
            return {"removed": 3}

        timetable = Timetable([Job("temp-files", "every 10 min", clean_up, at_start=True)], clock)
        timetable.start()
        report = await timetable.run_now("temp-files")
        await timetable.stop(grace=10.0)
    """

    def __init__(self, jobs: Iterable[Job], clock: TimeSource, history: History | None = None) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._triggers = {name: _parse(job.trigger) for name, job in self._jobs.items()}
        # A run on request waits for the scheduled one; a scheduled run that meets another is skipped and not queued.
        self._locks = {name: asyncio.Lock() for name in self._jobs}
        self._last_runs: dict[str, Run] = {}
        self._clock = clock
        self._history = history or _NoHistory()
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._clock_watch: asyncio.Task[None] | None = None
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            # By default, APScheduler silently drops a run when the event loop was busy for more than a second.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self, names: Iterable[str] | None = None) -> None:
        """Start with these jobs, or with all of them, in the running event loop."""
        self._scheduler.start()
        self._clock_watch = asyncio.create_task(self._watch_clock(), name="schedule clock watch")
        self.schedule(self._jobs if names is None else names)

    def schedule(self, names: Iterable[str], last_runs: Mapping[str, Run] | None = None) -> None:
        """Put these jobs on the timetable. Each is next due after its last run, in this process or another.

        A job that is already due, or is marked `at_start`, runs at once. A timetable that was stopped takes none.
        """
        # A process may begin to lead while it stops.
        if not self._scheduler.running:
            return
        for name in names:
            # Parsed again, because an interval counts from the moment at which its trigger is made.
            job, trigger, last_run = self._jobs[name], _parse(self._jobs[name].trigger), (last_runs or {}).get(name)
            planned = self._scheduler.add_job(self._fire, trigger, args=(job,), id=name)
            wait = self._seconds_until_due(name, last_run)
            if job.at_start or wait <= 0:
                self._start_run(job)
            elif isinstance(trigger, IntervalTrigger):
                # Relative to the time that APScheduler chose, because it uses the clock of the machine and not ours.
                due = planned.next_run_time - trigger.interval + timedelta(seconds=wait)
                planned.modify(next_run_time=due)

    def unschedule(self, names: Iterable[str]) -> None:
        """Take these jobs off the timetable, and cancel their scheduled runs that are under way."""
        for name in names:
            if self._scheduler.get_job(name) is not None:
                self._scheduler.remove_job(name)
            if (run := self._runs.get(name)) is not None:
                run.cancel()

    async def stop(self, grace: float) -> None:
        """Start no more runs. Runs under way may continue for up to `grace` seconds; then they are cancelled."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
            # It takes effect in the next turn of the loop. A run that starts before that must be waited for too.
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
        """All jobs, sorted by name. `last_runs` are the known runs in other processes."""
        return [self._entry(name, (last_runs or {}).get(name)) for name in sorted(self._jobs)]

    def __contains__(self, name: object) -> bool:
        return name in self._jobs

    async def run_now(self, name: str) -> Report:
        """Run a job once more, after its run that may be under way, and return its report.

        Raises `KeyError` for an unknown name, `CannotRunNow`, and any exception of the job.
        """
        return await self._run(self._jobs[name], scheduled=False)

    async def _fire(self, job: Job) -> None:
        # APScheduler cancels what it runs when it is shut down, so each run is a task of our own.
        self._start_run(job)

    def _start_run(self, job: Job) -> None:
        if job.name in self._runs or self._locks[job.name].locked():
            _log.info("schedule.skipped", schedule=job.name, reason="its last run is still under way")
            return
        run = self._runs[job.name] = asyncio.create_task(self._run_scheduled(job), name=f"schedule {job.name}")
        run.add_done_callback(lambda _: self._runs.pop(job.name, None))

    async def _run_scheduled(self, job: Job) -> None:
        try:
            await self._run(job, scheduled=True)
        except CannotRunNow as reason:
            _log.info("schedule.skipped", schedule=job.name, reason=str(reason))
        except Exception:  # noqa: BLE001 - a failed run must stop neither the later runs of this job nor other jobs
            _log.exception("schedule.failed", schedule=job.name)

    async def _run(self, job: Job, *, scheduled: bool) -> Report:
        async with self._locks[job.name]:
            # Asked for each run, inside of the lock: leadership may have changed while this one waited.
            record = await self._history.begin_run(job.name, scheduled=scheduled)
            if record is None:
                raise CannotRunNow("another process runs it")
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
                # In `finally`, so that a run which is cancelled at shutdown is recorded as well.
                await record(run)
            _log.debug("schedule.completed", schedule=job.name, seconds=seconds, report=report)
            return report

    def _entry(self, name: str, elsewhere: Run | None) -> TimetableEntry:
        here = self._last_runs.get(name)
        last_run = max(filter(None, (here, elsewhere)), key=lambda run: run.started_at, default=None)
        # Before APScheduler is started, its jobs do not have this attribute.
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
        """Restart the intervals when the wall clock is set back: otherwise no job would run until it has caught up."""
        offset = self._clock_offset()
        while True:
            await self._clock.sleep(CLOCK_CHECK_SECONDS)
            before, offset = offset, self._clock_offset()
            if offset < before - CLOCK_STEP_SECONDS:
                _log.warning("clock.set_back", seconds=before - offset)
                self._restart_intervals()

    def _clock_offset(self) -> float:
        # Constant while the wall clock is not set, because both clocks run at the same speed.
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _restart_intervals(self) -> None:
        for name, job in self._jobs.items():
            trigger = _parse(job.trigger)
            if isinstance(trigger, IntervalTrigger) and self._scheduler.get_job(name) is not None:
                self._scheduler.reschedule_job(name, trigger=trigger)


class _Interval(IntervalTrigger):  # type: ignore[misc] # the library has no types
    """As the library's, but a clock that jumps ahead costs nothing: the library asks for each time that was missed, of
    which only one counts, and there are millions of them in some decades."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        due: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        if due is None or previous_fire_time is None or due > now:
            return due
        missed = (now - due) // timedelta(seconds=self.interval_length) + 1
        return due + missed * timedelta(seconds=self.interval_length)


def _parse(trigger: str) -> IntervalTrigger | CronTrigger:
    """The trigger that a text describes. Raises `ValueError`."""
    if interval := re.fullmatch(r"every ([1-9]\d*) (s|min|h|d)", trigger):
        return _Interval(seconds=int(interval[1]) * UNIT_SECONDS[interval[2]], timezone=UTC)
    cron = CronTrigger.from_crontab(trigger, timezone=UTC)
    if re.search(r"\d\S*$", trigger):
        # APScheduler counts the days from Monday, crontab from Sunday.
        raise ValueError(f"name the days of the week (mon, tue, …) in {trigger!r}: their numbers are ambiguous")
    return cron
