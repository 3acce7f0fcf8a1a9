"""What dead processes left behind is marked as failed, and nothing else is."""

import pytest

from hub.cluster.lease import PROCESSES, heartbeat_lease
from hub.models import Task
from hub.stores.base import Store
from hub.tasks import TaskRecovery, TaskRunner
from tests.clock import ManualClock
from tests.hub.tasks.parts import Work, ended, shown


async def test_what_a_dead_process_left_is_marked_as_failed(store: Store, clock: ManualClock) -> None:
    dead = TaskRunner(store.tasks, clock, "p1")
    work, done = Work(), Work()
    done.finish.set()
    left = await dead.start("acme", "export", work)
    finished = await ended(store, await dead.start("acme", "export", done))
    await work.started.wait()
    for run in dead._runs.values():
        assert run.end is not None
        run.end.cancel()

    clock.advance(60)
    assert await TaskRecovery(store.tasks, store.leases, clock).recover(all_owners=True) == 1
    last = await ended(store, left)
    assert (last.status, last.error) == ("failed", "interrupted by a restart; run it again")
    assert last.updated_at == clock.now()
    assert await store.tasks.task("acme", finished.id) == finished
    assert (await shown(store))[-1]["id"] == left.id
    await dead.stop()


async def left_by(store: Store, clock: ManualClock, owner: str) -> tuple[TaskRunner, Task]:
    """A running task of a process that may be dead."""
    runner, work = TaskRunner(store.tasks, clock, owner), Work()
    task = await runner.start("acme", "export", work)
    await work.started.wait()
    return runner, task


async def test_only_what_a_dead_process_left_is_ended_and_only_when_two_looks_in_a_row_find_it_dead(
    store: Store, clock: ManualClock
) -> None:
    runners = [await left_by(store, clock, owner) for owner in ("dead", "alive", "slow")]
    (_, dead), (_, living), (_, slow) = runners
    await heartbeat_lease(store.leases, PROCESSES, "alive", clock).take()
    recovery = TaskRecovery(store.tasks, store.leases, clock)
    assert await recovery.recover() == 0
    await heartbeat_lease(store.leases, PROCESSES, "slow", clock).take()
    assert await recovery.recover() == 1
    assert (await ended(store, dead)).error == "interrupted by a restart; run it again"
    for task in (living, slow):
        found = await store.tasks.task("acme", task.id)
        assert found is not None
        assert found.status == "running"
    for runner, _ in runners:
        await runner.stop()


async def test_beyond_very_many_living_tasks_the_dead_ones_are_found(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.tasks.recovery.BATCH", 2)
    await heartbeat_lease(store.leases, PROCESSES, "alive", clock).take()
    runners = [await left_by(store, clock, owner) for owner in ("alive", "alive", "alive", "dead")]
    recovery = TaskRecovery(store.tasks, store.leases, clock)
    assert [await recovery.recover(), await recovery.recover(), await recovery.recover()] == [0, 1, 0]
    assert (await ended(store, runners[-1][1])).status == "failed"
    for runner, _ in runners:
        await runner.stop()
