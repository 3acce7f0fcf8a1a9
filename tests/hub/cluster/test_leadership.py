"""One of many leads: what it notes is fenced, and when it dies, is frozen or resigns, another goes on."""

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
from schedules.timetable import Run
from tests.clock import START, ManualClock


class Candidate:
    """A process that would lead; `reigns` counts how often it has."""

    def __init__(self, leases: ProcessLeases, name: str, clock: ManualClock) -> None:
        self.leadership = Leadership(leases, name, clock)
        self.reigns = 0
        self.reigning = False
        self._running = asyncio.create_task(self.leadership.run(self._reign))

    @asynccontextmanager
    async def _reign(self) -> AsyncIterator[None]:
        self.reigns += 1
        self.reigning = True
        try:
            yield
        finally:
            self.reigning = False

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
    assert [candidate.reigning for candidate in candidates] == [True, False]
    assert [candidate.reigns for candidate in candidates] == [1, 0]


async def test_after_a_death_another_leads_within_fifteen_seconds(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await one.die()
    await clock.elapse(LEASE_SECONDS + 1)
    assert other.reigning


async def test_after_a_resignation_another_leads_with_its_next_try(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await one.die()
    await one.leadership.resign()
    await clock.elapse(1)
    assert other.reigning


async def test_a_leader_that_was_frozen_is_not_confirmed_and_its_reign_ends(
    candidates: list[Candidate], leases: ProcessLeases, clock: ManualClock
) -> None:
    one, _ = candidates
    assert await one.leadership.confirm() == one.leadership.token
    clock.advance(LEASE_SECONDS)
    assert await leases.acquire("scheduler", "other", LEASE_SECONDS) is not None
    assert one.reigning
    assert await one.leadership.confirm() is None
    await clock.elapse(0)
    assert not one.reigning


async def test_a_leader_whose_right_lapsed_is_not_confirmed_by_taking_it_anew(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await other.die()
    clock.advance(LEASE_SECONDS)
    assert await one.leadership.confirm() is None
    await clock.elapse(5)
    assert (one.reigning, one.reigns) == (True, 2)


RUN = Run(START, 0.5, "succeeded")


@pytest.fixture
def schedules() -> ProcessSchedules:
    return ProcessSchedules()


async def test_in_its_turn_a_job_of_the_leader_runs_with_the_leader_alone(
    candidates: list[Candidate], schedules: ProcessSchedules
) -> None:
    one, other = (RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates)
    assert await one.open("retention", in_turn=True) is not None
    assert await other.open("retention", in_turn=True) is None
    assert await other.open("retention", in_turn=False) is not None
    assert await other.open("temp-files", in_turn=True) is not None


async def test_a_run_is_seen_by_every_process(candidates: list[Candidate], schedules: ProcessSchedules) -> None:
    one, other = (RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates)
    note = await one.open("retention", in_turn=True)
    assert note is not None
    await note(RUN)
    assert await other.last_runs() == {"retention": RUN}


async def test_a_run_that_somebody_asked_for_is_noted_over_the_leaders(
    candidates: list[Candidate], schedules: ProcessSchedules
) -> None:
    one, other = (RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates)
    later = Run(START + timedelta(seconds=5), 0.1, "failed", "OSError")
    for book, in_turn, run in ((one, True, RUN), (other, False, later)):
        note = await book.open("retention", in_turn=in_turn)
        assert note is not None
        await note(run)
    assert await one.last_runs() == {"retention": later}


async def test_what_a_former_leader_ends_late_is_not_noted(
    candidates: list[Candidate], schedules: ProcessSchedules, clock: ManualClock
) -> None:
    books = [RunHistory(schedules, candidate.leadership, {"retention"}) for candidate in candidates]
    late = await books[0].open("retention", in_turn=True)
    await candidates[0].die()
    await clock.elapse(LEASE_SECONDS + 1)
    newer = Run(clock.now(), 0.1, "succeeded")
    note = await books[1].open("retention", in_turn=True)
    assert note is not None
    assert late is not None
    await note(newer)
    with capture_logs() as lines:
        await late(RUN)
    assert [line["event"] for line in lines] == ["run not noted"]
    assert await books[1].last_runs() == {"retention": newer}


async def test_a_note_that_cannot_be_read_is_as_none(candidates: list[Candidate], schedules: ProcessSchedules) -> None:
    await schedules.record("retention", b'{"of": "a newer version"}', 1)
    with capture_logs():
        assert await RunHistory(schedules, candidates[0].leadership, {"retention"}).last_runs() == {}
