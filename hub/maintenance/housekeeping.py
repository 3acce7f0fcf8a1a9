"""What the hub does by itself: its timetable, made of the jobs of `schedules` and the upkeep of the store.

A job is run by every process (what is on its own disk), by each worker, or only by the scheduler that leads. Any
process can list all jobs, and run one on request.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from hub.clock import Clock
from hub.cluster.leadership import Leadership
from hub.cluster.roles import Role
from hub.compute import Threads
from hub.errors import NotFound, Unavailable
from hub.maintenance.clock_watch import ClockWatch
from hub.maintenance.run_history import CountRun, RunHistory
from hub.settings import Settings
from hub.stores.base import Store
from schedules.drain import Step, drain
from schedules.temp_files import clean
from schedules.timetable import CannotRunNow, Job, Timetable, TimetableEntry

Work = Callable[[], Awaitable[int]]
"""Works until nothing is left to do, and gives how many items it has dealt with."""
_log = structlog.get_logger(__name__)


class Housekeeping:
    """The timetable of a hub. Jobs that remove much do so in small steps, so that publishing goes on beside them.

    Example:

        [entry.name for entry in await housekeeping.entries()]
        removed = await housekeeping.job("temp-files")()
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        leadership: Leadership,
        roles: Collection[Role],
        clock_watch: ClockWatch,
        threads: Threads,
        *,
        sweep: Work,
        end_abandoned_tasks: Work,
        count_run: CountRun,
    ) -> None:
        self._settings = settings
        self._upkeep = store.upkeep
        self._clock = clock
        self._clock_watch = clock_watch
        self._threads = threads
        self._sweep = sweep
        self._end_abandoned_tasks = end_abandoned_tasks
        self._stopping = False
        every_process = [Job("temp-files", "every 10 min", self._clean_temp_files, at_start=True)]
        workers = [Job("lease-sweep", "every 5 s", self._sweep_leases)]
        leaders = [
            Job("retention", "every 1 h", self._purge_events),
            Job("feed-trim", "every 5 min", self._trim_feed),
            Job("expired-records", "every 15 min", self._purge_expired),
            Job("clock-watch", "every 1 min", self._watch_clock),
            Job("abandoned-tasks", "every 15 s", self._recover_tasks),
        ]
        self._own = [job.name for job in (every_process + workers if Role.WORKER in roles else every_process)]
        self._led = [job.name for job in leaders]
        self._history = RunHistory(store.schedules, leadership, self._led, count_run)
        # All jobs, whatever the roles: any process can run one on request.
        self._timetable = Timetable(every_process + workers + leaders, clock, self._history)

    def start(self) -> None:
        """Start the jobs that this process runs whether it leads or not; temp files are cleaned at once."""
        self._timetable.start(self._own)

    async def stop(self, grace: float) -> None:
        """Start no more jobs, and let those that run go on for up to `grace` seconds. What is done in steps ends with
        the step that it is at."""
        self._stopping = True
        await self._timetable.stop(grace)

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[None]:
        """Run the leader's jobs as well, continuing where the leader before stopped."""
        try:
            last_runs = await self._history.last_runs()
        except Unavailable as error:
            _log.warning("schedule.history_unavailable", reason=error.detail)
            # As if nothing had run: each job is then due within a minute, which costs little and repairs everything.
            last_runs = {}
        self._timetable.schedule(self._led, last_runs)
        try:
            yield
        finally:
            self._timetable.unschedule(self._led)

    async def entries(self) -> list[TimetableEntry]:
        """Every schedule, by name, with its last run, in any process. Raises `Unavailable`."""
        return self._timetable.entries(await self._history.last_runs())

    def job(self, name: str) -> Callable[[], Awaitable[Mapping[str, Any]]]:
        """A function that runs this schedule once, now and in this process, and gives what it did.

        Raises `NotFound` for an unknown name. The function raises `Unavailable` when the schedule cannot run now.
        """
        if name not in self._timetable:
            raise NotFound("There is no such schedule; GET /v1/schedules lists them.")
        return lambda: self._run_now(name)

    async def _run_now(self, name: str) -> Mapping[str, Any]:
        try:
            return await self._timetable.run_now(name)
        except CannotRunNow as reason:
            raise Unavailable(str(reason), retry_after=1.0) from reason

    async def _clean_temp_files(self) -> Mapping[str, Any]:
        directory, age = self._settings.data_dir / "tmp", timedelta(seconds=self._settings.temp_retention)
        if (reason := await self._clock_watch.reason()) is not None:
            return {"held": reason}
        # On a thread of its own, because a disk that hangs would hold up the event loop, or all that uses threads.
        return asdict(await self._threads.run(clean, directory, age, self._clock.now()))

    async def _purge_events(self) -> Mapping[str, Any]:
        return await self._drain(partial(self._upkeep.purge, self._before(self._settings.retention)))

    async def _trim_feed(self) -> Mapping[str, Any]:
        before, keep = self._before(self._settings.feed_retention), self._settings.feed_keep
        return await self._drain(partial(self._upkeep.trim_feed, before, keep))

    async def _purge_expired(self) -> Mapping[str, Any]:
        return await self._drain(self._upkeep.purge_expired)

    def _before(self, seconds: float) -> datetime:
        return self._clock.now() - timedelta(seconds=seconds)

    async def _drain(self, step: Step) -> Mapping[str, Any]:
        """Remove what is old, unless a clock that has jumped would say what that is."""
        if (reason := await self._clock_watch.look()) is not None:
            return {"removed": 0, "held": reason}
        return {"removed": await drain(step, self._clock.sleep, is_stopping=lambda: self._stopping)}

    async def _watch_clock(self) -> Mapping[str, Any]:
        return {"held": await self._clock_watch.look()}

    async def _sweep_leases(self) -> Mapping[str, Any]:
        return {"found": await self._sweep()}

    async def _recover_tasks(self) -> Mapping[str, Any]:
        return {"ended": await self._end_abandoned_tasks()}
