"""The default timetable removes what has had its time, from the real store and the real disk."""

import asyncio
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hub.cluster.leadership import Leadership
from hub.cluster.roles import EVERY_ROLE
from hub.compute import Threads
from hub.errors import NotFound
from hub.ids import new_id
from hub.maintenance.clock_watch import ClockWatch
from hub.maintenance.housekeeping import Housekeeping
from hub.models import Event, FeedEntry, FeedKind
from hub.settings import Settings
from hub.stores.base import Batch, BatchEntry, EventQuery, Idempotency, Page, Store
from hub.testing.clock import ManualClock
from hub.testing.patience import patience

DAY = 86_400.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, retention=30 * DAY, feed_retention=3 * DAY, feed_keep=1_000)


@pytest.fixture
def housekeeping(settings: Settings, store: Store, clock: ManualClock) -> Housekeeping:
    async def sweep() -> int:
        return 7

    async def end_abandoned_tasks() -> int:
        return 3

    leadership = Leadership(store.leases, "p1", clock)
    return Housekeeping(
        settings,
        store,
        clock,
        leadership,
        EVERY_ROLE,
        ClockWatch(clock, store.clock),
        Threads("cleanup", 1),
        sweep=sweep,
        count_run=lambda *run: None,
        end_abandoned_tasks=end_abandoned_tasks,
    )


async def accept(store: Store, clock: ManualClock, count: int, idempotency: Idempotency | None = None) -> None:
    """Accept so many events that nobody subscribed to."""
    entries = []
    for index in range(count):
        now = clock.now()
        event = Event(id=new_id("evt"), tenant="acme", type="a.b", source="x", time=now, data=b"{}", accepted_at=now)
        entries.append(BatchEntry(index, event, (), FeedEntry("acme", FeedKind.EVENT_ACCEPTED, b"{}")))
    await store.intake.accept(Batch("acme", tuple(entries), idempotency=idempotency))


async def run_through(job: Awaitable[Mapping[str, Any]], clock: ManualClock) -> Mapping[str, Any]:
    """What a job gives, with the clock moved on whenever it pauses."""
    running = asyncio.ensure_future(job)
    async with patience():
        while not running.done():
            await asyncio.wait([running], timeout=0.005)
            if clock.sleepers:
                clock.advance(0.02)
    return await running


async def test_the_timetable_names_every_job(housekeeping: Housekeeping) -> None:
    assert {entry.name: entry.trigger for entry in await housekeeping.entries()} == {
        "abandoned-tasks": "every 15 s",
        "clock-watch": "every 1 min",
        "expired-records": "every 15 min",
        "feed-trim": "every 5 min",
        "lease-sweep": "every 5 s",
        "retention": "every 1 h",
        "temp-files": "every 10 min",
    }


async def test_starting_cleans_temp_files_and_gives_every_job_its_next_turn(
    housekeeping: Housekeeping, settings: Settings
) -> None:
    housekeeping.start()
    await housekeeping.stop(grace=5)
    ran = {entry.name: entry.last_run for entry in await housekeeping.entries() if entry.last_run}
    assert {name: run.outcome for name, run in ran.items()} == {"temp-files": "succeeded"}


async def test_old_temp_files_go_and_the_rest_of_the_data_stays(
    housekeeping: Housekeeping, settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    for path in (tmp_path / "tmp" / "export.csv", tmp_path / "kept.key"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    clock.advance(100_000 * DAY)
    report = await housekeeping.job("temp-files")()
    assert report["files"] == ["export.csv"]
    assert report["errors"] == []
    assert (tmp_path / "kept.key").exists()
    assert (tmp_path / "tmp").is_dir()


async def test_events_go_after_their_retention_in_as_many_steps_as_it_takes(
    housekeeping: Housekeeping, store: Store, clock: ManualClock
) -> None:
    await accept(store, clock, 1_200)
    clock.advance(25 * DAY)
    await accept(store, clock, 2)
    clock.advance(6 * DAY)
    assert await run_through(housekeeping.job("retention")(), clock) == {"removed": 1_200}
    left = await store.archive.events("acme", EventQuery(), Page(10))
    assert len(left.items) == 2


async def test_a_hub_that_stops_does_not_wait_for_a_long_retention(
    housekeeping: Housekeeping, store: Store, clock: ManualClock
) -> None:
    await accept(store, clock, 1_200)
    clock.advance(31 * DAY)
    running = asyncio.ensure_future(housekeeping.job("retention")())
    async with patience():
        while not clock.sleepers:
            await asyncio.sleep(0)
    await housekeeping.stop(grace=5)
    assert await run_through(running, clock) == {"removed": 500}


async def test_the_feed_is_trimmed_by_age_and_by_number(
    housekeeping: Housekeeping, store: Store, clock: ManualClock
) -> None:
    await accept(store, clock, 10)
    clock.advance(2 * DAY)
    await accept(store, clock, 1_005)
    assert await run_through(housekeeping.job("feed-trim")(), clock) == {"removed": 15}
    clock.advance(4 * DAY)
    assert await run_through(housekeeping.job("feed-trim")(), clock) == {"removed": 1_000}


async def test_idempotency_records_go_when_they_expire(
    housekeeping: Housekeeping, store: Store, clock: ManualClock
) -> None:
    await accept(store, clock, 1, Idempotency("k", "f", 86_400.0))
    assert await run_through(housekeeping.job("expired-records")(), clock) == {"removed": 0}
    clock.advance(1.1 * DAY)
    assert await run_through(housekeeping.job("expired-records")(), clock) == {"removed": 1}


async def test_the_lease_sweep_is_the_dispatchers(housekeeping: Housekeeping) -> None:
    assert await housekeeping.job("lease-sweep")() == {"found": 7}


def test_an_unknown_schedule_is_not_found(housekeeping: Housekeeping) -> None:
    with pytest.raises(NotFound):
        housekeeping.job("nothing")
