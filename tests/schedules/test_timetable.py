"""The timetable fires what is due, keeps failures, and stops without cutting short what runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.testing.clock import START, ManualClock
from hub.testing.patience import patience
from schedules.timetable import Job, RecordRun, Report, Run, Timetable, TimetableEntry

FAR = "every 1 d"


@asynccontextmanager
async def running(*jobs: Job, clock: ManualClock | None = None) -> AsyncIterator[Timetable]:
    timetable = Timetable(jobs, clock or ManualClock())
    timetable.start()
    try:
        yield timetable
    finally:
        await timetable.stop(grace=1)


async def nothing() -> Report:
    return {}


def entry(timetable: Timetable, name: str) -> TimetableEntry:
    return next(entry for entry in timetable.entries() if entry.name == name)


def make_due(timetable: Timetable, name: str, since: timedelta = timedelta(0)) -> datetime:
    """Let a job be due now, or since some time: its scheduler is on the machine's clock."""
    due = datetime.now(UTC) - since  # noqa: TID251 - APScheduler goes by the machine's own clock
    timetable._scheduler.modify_job(name, next_run_time=due)
    return due


class Work:
    """A job that says when it runs and ends when it is let."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.finish = asyncio.Event()
        self.runs = 0
        self.ended = 0

    async def __call__(self) -> Report:
        self.runs += 1
        self.started.set()
        await self.finish.wait()
        self.ended += 1
        return {"runs": self.runs}


async def test_a_due_job_fires_by_itself_and_is_due_again_later() -> None:
    work = Work()
    work.finish.set()
    async with running(Job("a", "every 1 h", work)) as timetable, patience():
        due = make_due(timetable, "a")
        await work.started.wait()
        next_run_at = entry(timetable, "a").next_run_at
    assert next_run_at is not None
    assert next_run_at == due + timedelta(hours=1)


async def test_many_missed_turns_make_one_run() -> None:
    work = Work()
    work.finish.set()
    async with running(Job("a", "every 1 h", work)) as timetable, patience():
        make_due(timetable, "a", since=timedelta(hours=50.5))
        await work.started.wait()
        for _ in range(10):
            await asyncio.sleep(0)
    assert work.runs == 1


async def test_jobs_marked_so_run_at_the_start_and_the_others_do_not() -> None:
    first, other = Work(), Work()
    first.finish.set()
    async with running(Job("first", FAR, first, at_start=True), Job("other", FAR, other)), patience():
        await first.started.wait()
    assert (first.runs, other.runs) == (1, 0)


async def test_a_timetable_that_was_stopped_takes_no_more_jobs() -> None:
    work = Work()
    async with running(Job("a", FAR, work, at_start=True), Job("b", FAR, work)) as timetable:
        timetable.unschedule(["a"])
    timetable.schedule(["a", "b"])
    await asyncio.sleep(0)
    assert work.runs == 0
    assert [one.next_run_at for one in timetable.entries()] == [None, None]


async def test_entries_say_what_runs_when_and_how_it_went() -> None:
    clock = ManualClock()

    async def run() -> Report:
        clock.advance(2.5)
        return {"removed": 3}

    async with running(Job("b", FAR, nothing), Job("a", "0 3 * * *", run), clock=clock) as timetable:
        assert await timetable.run_now("a") == {"removed": 3}
        a, b = timetable.entries()
    assert (a.name, a.trigger, b.name) == ("a", "0 3 * * *", "b")
    assert a.next_run_at is not None
    assert (a.next_run_at.tzinfo, a.next_run_at.hour, a.next_run_at.minute) == (UTC, 3, 0)
    assert a.last_run is not None
    assert (a.last_run.started_at, a.last_run.duration_seconds, a.last_run.outcome) == (START, 2.5, "succeeded")
    assert b.last_run is None


def test_before_the_start_nothing_is_due() -> None:
    timetable = Timetable([Job("a", FAR, nothing)], ManualClock())
    assert entry(timetable, "a").next_run_at is None
    assert "a" in timetable
    assert "b" not in timetable


async def test_a_failure_of_a_run_that_was_asked_for_reaches_the_caller_and_is_kept() -> None:
    async def run() -> Report:
        raise OSError("/secret/path is full")

    async with running(Job("a", FAR, run)) as timetable:
        with pytest.raises(OSError, match="is full"):
            await timetable.run_now("a")
        last = entry(timetable, "a").last_run
    assert last is not None
    assert (last.outcome, last.error) == ("failed", "OSError")


async def test_a_failure_of_a_scheduled_run_is_logged_and_the_job_runs_again() -> None:
    failed, ran = asyncio.Event(), asyncio.Event()

    async def run() -> Report:
        if not failed.is_set():
            failed.set()
            raise OSError("full")
        ran.set()
        return {}

    with capture_logs() as lines:
        async with running(Job("a", FAR, run, at_start=True)) as timetable, patience():
            await failed.wait()
            make_due(timetable, "a")
            await ran.wait()
            await asyncio.sleep(0)
            last = entry(timetable, "a").last_run
    assert [line["schedule"] for line in lines if line["log_level"] == "error"] == ["a"]
    assert last is not None
    assert last.outcome == "succeeded"


async def test_an_unknown_name_is_a_key_error() -> None:
    async with running() as timetable:
        with pytest.raises(KeyError):
            await timetable.run_now("nobody")


async def test_a_job_never_runs_twice_at_once_and_a_run_that_is_asked_for_waits() -> None:
    work = Work()
    async with running(Job("a", FAR, work, at_start=True)) as timetable, patience():
        await work.started.wait()
        asked_for = asyncio.create_task(timetable.run_now("a"))
        await asyncio.sleep(0)
        assert work.runs == 1
        work.finish.set()
        assert await asked_for == {"runs": 2}


async def test_a_turn_that_comes_while_the_job_runs_is_skipped() -> None:
    work = Work()
    with capture_logs() as lines:
        async with running(Job("a", FAR, work, at_start=True)) as timetable, patience():
            await work.started.wait()
            make_due(timetable, "a")
            for _ in range(10):
                await asyncio.sleep(0)
            work.finish.set()
    assert [line["event"] for line in lines if line["log_level"] == "info"] == ["schedule.skipped"]
    assert work.runs == 1


async def test_stopping_lets_a_run_end() -> None:
    work = Work()
    timetable = Timetable([Job("a", FAR, work, at_start=True)], ManualClock())
    timetable.start()
    await work.started.wait()
    stopping = asyncio.create_task(timetable.stop(grace=5))
    for _ in range(5):
        await asyncio.sleep(0)
    work.finish.set()
    await stopping
    assert work.ended == 1


async def test_stopping_cancels_a_run_that_outlasts_the_grace() -> None:
    work = Work()
    timetable = Timetable([Job("a", FAR, work, at_start=True)], ManualClock())
    timetable.start()
    await work.started.wait()
    await timetable.stop(grace=0.01)
    last = entry(timetable, "a").last_run
    assert work.ended == 0
    assert last is not None
    assert last.outcome == "cancelled"


async def test_nothing_fires_after_the_stop_and_nothing_is_left_running() -> None:
    work = Work()
    timetable = Timetable([Job("a", FAR, work)], ManualClock())
    timetable.start()
    make_due(timetable, "a")
    await timetable.stop(grace=0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert work.runs == 0
    assert not timetable._scheduler.running
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_run_that_begins_while_the_stop_does_is_not_left_behind() -> None:
    work = Work()
    timetable = Timetable([Job("a", FAR, work)], ManualClock())
    timetable.start()
    make_due(timetable, "a")
    await asyncio.sleep(0)
    await timetable.stop(grace=0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_stopping_what_never_started_is_fine() -> None:
    await Timetable([Job("a", FAR, nothing)], ManualClock()).stop(grace=0)


async def intervals_after(clock: ManualClock, change: Callable[[], Any]) -> tuple[timedelta, timedelta]:
    """By how much the next runs of an interval and of a crontab line move when the clock is changed so."""
    jobs = Job("interval", FAR, nothing), Job("cron", "0 3 * * *", nothing)
    async with running(*jobs, clock=clock) as timetable:
        await asyncio.sleep(0)
        timetable._scheduler.modify_job("cron", next_run_time=datetime(2999, 1, 1, 3, tzinfo=UTC))
        before = [entry(timetable, job.name).next_run_at for job in jobs]
        change()
        await clock.elapse(6)
        after = [entry(timetable, job.name).next_run_at for job in jobs]
    interval, cron = (late - early for early, late in zip(before, after, strict=True) if early and late)
    return interval, cron


async def test_intervals_restart_when_the_clock_is_set_back() -> None:
    clock = ManualClock()
    interval, cron = await intervals_after(clock, lambda: clock.set_back(3_600))
    assert interval > timedelta(0)
    assert cron == timedelta(0)


async def test_a_clock_that_jumps_decades_ahead_makes_an_interval_due_once() -> None:
    async with running(Job("interval", "every 5 s", nothing)) as timetable:
        (job,) = timetable._scheduler.get_jobs()
        now = job.next_run_time + timedelta(days=60 * 365, seconds=2)
        assert job._get_run_times(now) == [job.next_run_time]
        assert job.trigger.get_next_fire_time(job.next_run_time, now) == now + timedelta(seconds=3)


async def test_intervals_go_on_while_the_clock_runs_true() -> None:
    assert await intervals_after(ManualClock(), lambda: None) == (timedelta(0), timedelta(0))


@pytest.mark.parametrize("trigger", ["every 0 s", "every day", "every 5 weeks", "", "* * * *", "61 * * * *"])
def test_a_trigger_that_cannot_be_read_is_refused(trigger: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Timetable([Job("a", trigger, nothing)], ManualClock())


def test_numbers_of_weekdays_are_refused_because_cron_and_the_library_count_differently() -> None:
    with pytest.raises(ValueError, match="name the days"):
        Timetable([Job("a", "0 3 * * 1", nothing)], ManualClock())


async def test_named_weekdays_are_what_they_say() -> None:
    async with running(Job("a", "0 3 * * mon", nothing)) as timetable:
        next_run_at = entry(timetable, "a").next_run_at
    assert next_run_at is not None
    assert next_run_at.strftime("%A") == "Monday"


async def next_turns(last_runs: dict[str, Run], *jobs: Job) -> dict[str, float]:
    """In how many seconds each job is due, when it is put on the timetable of another process that has just started."""
    clock = ManualClock()
    timetable = Timetable(jobs, clock)
    timetable.start([])
    try:
        timetable.schedule([job.name for job in jobs], last_runs)
        now = datetime.now(UTC)  # noqa: TID251 - APScheduler goes by the machine's own clock
        entries = timetable.entries()
        return {entry.name: (entry.next_run_at - now).total_seconds() for entry in entries if entry.next_run_at}
    finally:
        await timetable.stop(grace=0)


def ran(seconds_ago: float) -> Run:
    return Run(START - timedelta(seconds=seconds_ago), 0.1, "succeeded")


async def test_a_job_goes_on_where_another_process_left_off() -> None:
    due = await next_turns({"a": ran(1_000), "b": ran(10)}, Job("a", "every 1 h", nothing), Job("b", FAR, nothing))
    assert due["a"] == pytest.approx(2_600, abs=5)
    assert due["b"] == pytest.approx(86_390, abs=5)


async def test_a_job_that_is_not_known_to_have_run_is_due_within_a_minute() -> None:
    due = await next_turns({}, Job("a", FAR, nothing), Job("b", "every 5 s", nothing))
    assert due["a"] == pytest.approx(60, abs=5)
    assert due["b"] == pytest.approx(5, abs=5)


@pytest.mark.parametrize("trigger", ["every 1 h", "0 * * * *"])
async def test_a_job_whose_turn_was_missed_by_all_runs_at_once(trigger: str) -> None:
    work = Work()
    timetable = Timetable([Job("a", trigger, work)], ManualClock())
    timetable.start([])
    timetable.schedule(["a"], {"a": ran(7_200)})
    async with patience():
        await work.started.wait()
    await timetable.stop(grace=0)
    assert work.runs == 1


async def test_what_is_unscheduled_fires_no_more_and_its_run_is_ended() -> None:
    work, other = Work(), Work()
    jobs = Job("a", FAR, work, at_start=True), Job("b", FAR, other, at_start=True)
    async with running(*jobs) as timetable, patience():
        await work.started.wait()
        await other.started.wait()
        timetable.unschedule(["a"])
        last = None
        while last is None:
            await asyncio.sleep(0)
            last = entry(timetable, "a").last_run
        assert (last.outcome, timetable._scheduler.get_job("a")) == ("cancelled", None)
        other.finish.set()
    assert other.ended == 1


async def test_a_job_may_be_scheduled_again() -> None:
    work = Work()
    work.finish.set()
    async with running(Job("a", FAR, work)) as timetable, patience():
        for _ in range(2):
            timetable.unschedule(["a"])
            timetable.schedule(["a"], {})
        make_due(timetable, "a")
        await work.started.wait()
    assert work.runs == 1


class RecordedRuns:
    """A history that lets scheduled runs begin only while `leads` is true, and keeps the runs that end."""

    def __init__(self) -> None:
        self.leads = True
        self.runs: list[tuple[str, Run]] = []

    async def begin_run(self, name: str, *, scheduled: bool) -> RecordRun | None:
        async def record(run: Run) -> None:
            self.runs.append((name, run))

        return record if self.leads or not scheduled else None


async def test_a_scheduled_run_that_belongs_to_another_process_is_skipped_and_not_recorded() -> None:
    history, work = RecordedRuns(), Work()
    history.leads = False
    timetable = Timetable([Job("a", FAR, work, at_start=True)], ManualClock(), history)
    with capture_logs() as lines:
        timetable.start()
        await timetable.stop(grace=1)
    assert [line["event"] for line in lines] == ["schedule.skipped"]
    assert (work.runs, history.runs, entry(timetable, "a").last_run) == (0, [], None)


async def test_every_run_is_recorded_however_it_began_and_ended() -> None:
    async def fail() -> Report:
        raise OSError

    history, endless = RecordedRuns(), Work()
    timetable = Timetable(
        [Job("well", FAR, nothing), Job("fails", FAR, fail), Job("endless", FAR, endless, at_start=True)],
        ManualClock(),
        history,
    )
    timetable.start()
    await endless.started.wait()
    await timetable.run_now("well")
    with pytest.raises(OSError):  # noqa: PT011 - bare, so that it has no text
        await timetable.run_now("fails")
    await timetable.stop(grace=0)
    outcomes = {name: run.outcome for name, run in history.runs}
    assert outcomes == {"well": "succeeded", "fails": "failed", "endless": "cancelled"}


async def test_runs_of_other_processes_are_shown_with_what_follows_from_them() -> None:
    timetable = Timetable([Job("a", "every 1 h", nothing), Job("b", "0 3 * * *", nothing)], ManualClock())
    elsewhere = {"a": ran(60), "b": ran(60)}
    a, b = timetable.entries(elsewhere)
    assert (a.last_run, b.last_run) == (elsewhere["a"], elsewhere["b"])
    assert a.next_run_at == START + timedelta(minutes=59)
    assert b.next_run_at == datetime(2026, 11, 24, 3, tzinfo=UTC)
    await timetable.run_now("a")
    (newest, _) = timetable.entries(elsewhere)
    assert newest.last_run is not None
    assert newest.last_run.started_at == START
