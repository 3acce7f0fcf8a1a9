"""What the hub does by itself: the default timetable, made of the schedules' jobs and the store's upkeep."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from hub.clock import Clock
from hub.errors import NotFound
from hub.settings import Settings
from hub.stores.base import Upkeep
from schedules.drain import Step, drain
from schedules.temp_files import clean
from schedules.timetable import Entry, Job, Timetable


class Housekeeping:
    """The timetable of a hub. Jobs that remove much do it in small steps, so that publishing goes on beside them."""

    def __init__(self, settings: Settings, upkeep: Upkeep, clock: Clock, sweep: Callable[[], Awaitable[int]]) -> None:
        self._settings = settings
        self._upkeep = upkeep
        self._clock = clock
        self._sweep = sweep
        jobs = [
            Job("temp-files", "every 10 min", self._clean_temp_files, at_start=True),
            Job("retention", "every 1 h", self._purge_events),
            Job("feed-trim", "every 5 min", self._trim_feed),
            Job("expired-records", "every 15 min", self._purge_expired),
            Job("lease-sweep", "every 5 s", self._sweep_leases),
        ]
        self._timetable = Timetable(jobs, clock)

    def start(self) -> None:
        """Begin; temp files are looked at once now."""
        self._timetable.start()

    async def stop(self, grace: float) -> None:
        """Fire no more; let what is under way go on for up to `grace` seconds."""
        await self._timetable.stop(grace)

    def entries(self) -> list[Entry]:
        """Every schedule, by name."""
        return self._timetable.entries()

    def job(self, name: str) -> Callable[[], Awaitable[Mapping[str, Any]]]:
        """What runs this schedule once, now, and gives what it did. Raises `NotFound`."""
        if name not in self._timetable:
            raise NotFound("There is no such schedule; GET /v1/schedules lists them.")
        return lambda: self._timetable.run_now(name)

    async def _clean_temp_files(self) -> Mapping[str, Any]:
        directory, age = self._settings.data_dir / "tmp", timedelta(seconds=self._settings.temp_retention)
        return asdict(await asyncio.to_thread(clean, directory, age, self._clock.now()))

    async def _purge_events(self) -> Mapping[str, Any]:
        before = self._clock.now() - timedelta(seconds=self._settings.retention)
        return await self._drain(lambda limit: self._upkeep.purge(before, limit))

    async def _trim_feed(self) -> Mapping[str, Any]:
        before = self._clock.now() - timedelta(seconds=self._settings.feed_retention)
        keep = self._settings.feed_keep
        return await self._drain(lambda limit: self._upkeep.trim_feed(before, keep, limit))

    async def _purge_expired(self) -> Mapping[str, Any]:
        return await self._drain(self._upkeep.purge_expired)

    async def _drain(self, step: Step) -> Mapping[str, Any]:
        return {"removed": await drain(step, self._clock.sleep)}

    async def _sweep_leases(self) -> Mapping[str, Any]:
        return {"found": await self._sweep()}
