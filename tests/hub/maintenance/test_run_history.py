"""Runs are recorded by the leader in their turn, by anybody on request, and by a former leader no more."""

import re
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from hub.cluster.lease import LEASE_SECONDS
from hub.maintenance.run_history import RunHistory
from hub.stores.process import ProcessSchedules
from hub.telemetry.metrics import Metrics
from hub.testing.clock import START, ManualClock
from schedules.timetable import Run
from tests.hub.cluster.candidates import Candidate

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


async def test_runs_are_counted_where_they_ran(candidates: list[Candidate], schedules: ProcessSchedules) -> None:
    metrics = Metrics()
    history = RunHistory(schedules, candidates[0].leadership, {"retention"}, metrics.ran)
    for run in (RUN, Run(START, 0.1, "failed", "OSError")):
        record = await history.begin_run("retention", scheduled=False)
        assert record is not None
        await record(run)
    text = metrics.render()[0].decode()
    for outcome in ("succeeded", "failed"):
        assert f'hub_schedule_runs_total{{outcome="{outcome}",schedule="retention"}} 1.0' in text
    ended_at = START.timestamp() + 0.5
    (shown,) = re.findall(r'hub_schedule_last_success_timestamp_seconds{schedule="retention"} (\S+)', text)
    assert float(shown) == ended_at


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
