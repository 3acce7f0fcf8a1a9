"""One of many leads: what it records is fenced, and when it dies, is frozen or resigns, another goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from hub.cluster.leadership import Leadership
from hub.cluster.lease import LEASE_SECONDS
from hub.maintenance.run_history import RunHistory
from hub.stores.process import ProcessLeases, ProcessSchedules
from hub.testing.clock import START, ManualClock
from schedules.timetable import Run


class Candidate:
    """A process that would lead; `terms` counts how often it has led."""

    def __init__(self, leases: ProcessLeases, name: str, clock: ManualClock) -> None:
        self.leadership = Leadership(leases, name, clock)
        self.terms = 0
        self.leading = False
        self._running = asyncio.create_task(self.leadership.run(self._lead))

    @asynccontextmanager
    async def _lead(self) -> AsyncIterator[None]:
        self.terms += 1
        self.leading = True
        try:
            yield
        finally:
            self.leading = False

    async def die(self) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def leases(clock: ManualClock) -> ProcessLeases:
    return ProcessLeases(clock)


@pytest.fixture
async def candidates(leases: ProcessLeases, clock: ManualClock) -> AsyncIterator[list[Candidate]]:
    """Two, of which the first leads."""
    one = Candidate(leases, "one", clock)
    await clock.elapse(0)
    other = Candidate(leases, "other", clock)
    await clock.elapse(0)
    yield [one, other]
    await one.die()
    await other.die()


async def test_one_leads_and_goes_on_leading(candidates: list[Candidate], clock: ManualClock) -> None:
    await clock.elapse(100)
    assert [candidate.leading for candidate in candidates] == [True, False]
    assert [candidate.terms for candidate in candidates] == [1, 0]


async def test_after_a_death_another_leads_within_fifteen_seconds(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await one.die()
    await clock.elapse(LEASE_SECONDS + 1)
    assert other.leading


async def test_after_a_resignation_another_leads_with_its_next_try(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await one.die()
    await one.leadership.resign()
    await clock.elapse(1)
    assert other.leading


async def test_a_leader_that_was_frozen_is_not_confirmed_and_no_longer_leads(
    candidates: list[Candidate], leases: ProcessLeases, clock: ManualClock
) -> None:
    one, _ = candidates
    assert await one.leadership.confirm() == one.leadership.token
    clock.advance(LEASE_SECONDS)
    assert await leases.acquire("scheduler", "other", LEASE_SECONDS) is not None
    assert one.leading
    assert await one.leadership.confirm() is None
    await clock.elapse(0)
    assert not one.leading


async def test_a_leader_whose_lease_ran_out_is_not_confirmed_by_taking_it_again(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await other.die()
    clock.advance(LEASE_SECONDS)
    assert await one.leadership.confirm() is None
    await clock.elapse(5)
    assert (one.leading, one.terms) == (True, 2)


RUN = Run(START, 0.5, "succeeded")


@pytest.fixture
def schedules() -> ProcessSchedules:
    return ProcessSchedules()


async def test_in_its_turn_a_job_of_the_leader_runs_with_the_leader_alone(
    candidates: list[Candidate], schedules: ProcessSchedules
) -> None:
    one, other = (RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates)
    assert await one.begin_run("retention", scheduled=True) is not None
    assert await other.begin_run("retention", scheduled=True) is None
    assert await other.begin_run("retention", scheduled=False) is not None
    assert await other.begin_run("temp-files", scheduled=True) is not None


async def test_a_run_is_seen_by_every_process(candidates: list[Candidate], schedules: ProcessSchedules) -> None:
    one, other = (RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates)
    record = await one.begin_run("retention", scheduled=True)
    assert record is not None
    await record(RUN)
    assert await other.last_runs() == {"retention": RUN}


async def test_a_run_that_somebody_asked_for_is_recorded_over_the_leaders(
    candidates: list[Candidate], schedules: ProcessSchedules
) -> None:
    one, other = (RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates)
    later = Run(START + timedelta(seconds=5), 0.1, "failed", "OSError")
    for history, scheduled, run in ((one, True, RUN), (other, False, later)):
        record = await history.begin_run("retention", scheduled=scheduled)
        assert record is not None
        await record(run)
    assert await one.last_runs() == {"retention": later}


async def test_what_a_former_leader_ends_late_is_not_recorded(
    candidates: list[Candidate], schedules: ProcessSchedules, clock: ManualClock
) -> None:
    histories = [RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates]
    late = await histories[0].begin_run("retention", scheduled=True)
    await candidates[0].die()
    await clock.elapse(LEASE_SECONDS + 1)
    newer = Run(clock.now(), 0.1, "succeeded")
    record = await histories[1].begin_run("retention", scheduled=True)
    assert record is not None
    assert late is not None
    await record(newer)
    with capture_logs() as lines:
        await late(RUN)
    assert [line["event"] for line in lines] == ["schedule.record_failed"]
    assert await histories[1].last_runs() == {"retention": newer}


async def test_a_record_that_cannot_be_read_counts_as_absent(
    candidates: list[Candidate], schedules: ProcessSchedules
) -> None:
    await schedules.record("retention", b'{"of": "a newer version"}', 1)
    with capture_logs():
        assert await RunHistory(schedules, candidates[0].leadership, {"retention"}).last_runs() == {}
