"""Tasks are kept in every state, shown to listeners, cancelled, and never left looking alive."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.errors import Conflict, Invalid, NotFound, TooManyRequests, Unavailable
from hub.models import FeedEntry, Task
from hub.stores.base import Listing, Page, Store, Tasks
from hub.tasks import RUNNING_AT_ONCE, UNFINISHED_PER_TENANT, Progress, TaskRecovery, TaskRunner
from hub.tasks.runner import LOOK_SECONDS
from hub.testing.clock import ManualClock
from hub.testing.patience import patience, soon
from tests.faults.patience import until
from tests.hub.tasks.parts import Work, ended, shown


@pytest.fixture
async def runner(store: Store, clock: ManualClock) -> AsyncIterator[TaskRunner]:
    runner = TaskRunner(store.tasks, clock, "p1")
    yield runner
    await runner.stop()


class AwayStore(Tasks):
    """A store whose writes are refused while it is `away`."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks_port = tasks
        self.away = False
        self.refused = asyncio.Event()

    async def save(self, task: Task, feed: Sequence[FeedEntry] = ()) -> bool:
        if self.away:
            self.refused.set()
            raise Unavailable("The disk is full.", retry_after=1)
        return await self.tasks_port.save(task, feed)

    async def task(self, tenant: str, task_id: str) -> Task | None:
        return await self.tasks_port.task(tenant, task_id)

    async def tasks(self, tenant: str, page: Page) -> Listing[Task]:
        return await self.tasks_port.tasks(tenant, page)

    async def unfinished(self, limit: int) -> Sequence[Task]:
        return await self.tasks_port.unfinished(limit)


async def test_work_runs_to_its_result_and_every_state_is_shown(
    store: Store, runner: TaskRunner, clock: ManualClock
) -> None:
    async def work(progress: Progress) -> Mapping[str, Any]:
        clock.advance(5)
        await progress(40)
        return {"rows": 3}

    task = await runner.start("acme", "export", work)
    assert (task.status, task.progress, task.kind) == ("pending", 0, "export")
    last = await ended(store, task)
    assert (last.status, last.progress, last.result, last.error) == ("completed", 100, {"rows": 3}, None)
    assert (last.updated_at - last.created_at).total_seconds() == 5
    entries = await shown(store)
    assert [(entry["status"], entry["progress"]) for entry in entries] == [
        ("pending", 0),
        ("running", 0),
        ("running", 40),
        ("completed", 100),
    ]
    assert entries[-1] == last.model_dump(mode="json")


async def test_progress_is_written_once_a_second_at_most_and_only_when_it_moves(
    store: Store, runner: TaskRunner, clock: ManualClock
) -> None:
    async def work(progress: Progress) -> Mapping[str, Any]:
        for percent, seconds in ((1, 0.5), (2, 0.5), (3.9, 2), (3.2, 2), (250, 2)):
            await progress(percent)
            clock.advance(seconds)
        return {}

    await ended(store, await runner.start("acme", "export", work))
    assert [entry["progress"] for entry in await shown(store)] == [0, 0, 1, 3, 100, 100]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Invalid("There is no such column."), "There is no such column."),
        (OSError("/secret/path"), "failed unexpectedly (OSError); see the hub's log"),
    ],
)
async def test_work_that_raises_fails_with_a_message_without_secrets(
    store: Store, runner: TaskRunner, error: Exception, message: str
) -> None:
    async def work(progress: Progress) -> Mapping[str, Any]:
        raise error

    with capture_logs() as lines:
        last = await ended(store, await runner.start("acme", "export", work))
    assert (last.status, last.error, last.result) == ("failed", message, None)
    assert [line["event"] for line in lines] == ([] if isinstance(error, Invalid) else ["task.failed"])


async def test_a_result_that_is_no_json_fails_the_task(store: Store, runner: TaskRunner) -> None:
    async def work(progress: Progress) -> Mapping[str, Any]:
        return {"path": Path("/")}

    last = await ended(store, await runner.start("acme", "export", work))
    assert last.status == "failed"


async def test_a_running_task_is_cancelled(store: Store, runner: TaskRunner) -> None:
    work = Work()
    task = await runner.start("acme", "export", work)
    await work.started.wait()
    cancelled = await runner.cancel("acme", task.id)
    assert cancelled.status == "cancelled"
    assert await store.tasks.task("acme", task.id) == cancelled
    assert (await shown(store))[-1]["status"] == "cancelled"


async def test_a_task_that_waits_for_its_turn_is_cancelled_without_having_run(store: Store, runner: TaskRunner) -> None:
    running = [Work() for _ in range(RUNNING_AT_ONCE)]
    for work in running:
        await runner.start("acme", "export", work)
        await work.started.wait()
    waiting = Work()
    task = await runner.start("acme", "export", waiting)
    assert (await runner.cancel("acme", task.id)).status == "cancelled"
    assert not waiting.started.is_set()


async def test_only_a_few_run_at_once_and_the_next_follows(store: Store, runner: TaskRunner) -> None:
    works = [Work() for _ in range(RUNNING_AT_ONCE + 1)]
    tasks = [await runner.start("acme", "export", work) for work in works]
    for work in works[:-1]:
        await work.started.wait()
    for _ in range(3):
        # Behind this write comes whatever the last one would have written to begin.
        await store.tasks.save(tasks[0])
    assert not works[-1].started.is_set()
    works[0].finish.set()
    await ended(store, tasks[0])
    async with patience():
        await works[-1].started.wait()


async def test_cancelling_twice_at_once_is_the_same_as_once(runner: TaskRunner) -> None:
    started, told_once = asyncio.Event(), asyncio.Event()

    async def work_until_told_twice(progress: Progress) -> Mapping[str, Any]:
        started.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        told_once.set()
        await asyncio.Event().wait()
        return {}

    task = await runner.start("acme", "export", work_until_told_twice)
    await started.wait()
    first = asyncio.create_task(runner.cancel("acme", task.id))
    await told_once.wait()
    both = await soon(asyncio.gather(first, runner.cancel("acme", task.id)))
    assert [task.status for task in both] == ["cancelled", "cancelled"]


async def test_what_has_ended_cannot_be_cancelled(store: Store, runner: TaskRunner) -> None:
    work = Work()
    work.finish.set()
    task = await ended(store, await runner.start("acme", "export", work))
    with pytest.raises(Conflict, match="already completed"):
        await runner.cancel("acme", task.id)


async def test_a_task_of_another_tenant_does_not_exist(runner: TaskRunner) -> None:
    work = Work()
    task = await runner.start("acme", "export", work)
    with pytest.raises(NotFound):
        await runner.cancel("other", task.id)
    with pytest.raises(NotFound):
        await runner.task("other", task.id)
    assert (await runner.task("acme", task.id)).id == task.id


async def test_a_tenant_with_many_unfinished_tasks_is_refused_and_others_are_not(
    store: Store, runner: TaskRunner
) -> None:
    works = [Work() for _ in range(UNFINISHED_PER_TENANT)]
    tasks = [await runner.start("acme", "export", work) for work in works]
    with pytest.raises(TooManyRequests) as refused:
        await runner.start("acme", "export", Work())
    assert refused.value.retry_after
    await runner.start("other", "export", Work())
    works[0].finish.set()
    await ended(store, tasks[0])
    await runner.start("acme", "export", Work())


async def test_stopping_fails_what_runs_and_what_waits_and_refuses_more(store: Store, runner: TaskRunner) -> None:
    works = [Work() for _ in range(RUNNING_AT_ONCE + 1)]
    tasks = [await runner.start("acme", "export", work) for work in works]
    await works[0].started.wait()
    await runner.stop()
    for task in tasks:
        last = await ended(store, task)
        assert (last.status, last.error) == ("failed", "interrupted by a shutdown; run it again")
    with pytest.raises(Unavailable):
        await runner.start("acme", "export", Work())


async def test_a_start_that_the_store_refuses_leaves_nothing_behind(store: Store, clock: ManualClock) -> None:
    tasks = AwayStore(store.tasks)
    tasks.away = True
    runner = TaskRunner(tasks, clock, "p1")
    work = Work()
    with pytest.raises(Unavailable):
        await runner.start("acme", "export", work)
    assert not work.started.is_set()
    assert not runner._runs


async def test_a_store_that_is_away_for_a_while_costs_no_result(store: Store, clock: ManualClock) -> None:
    tasks = AwayStore(store.tasks)
    runner = TaskRunner(tasks, clock, "p1")

    async def work(progress: Progress) -> Mapping[str, Any]:
        tasks.away = True
        await progress(50)
        return {"rows": 3}

    with capture_logs() as lines:
        task = await runner.start("acme", "export", work)
        async with patience():
            await tasks.refused.wait()
        await clock.elapse(0)
        tasks.away = False
        await clock.elapse(1)
    assert [line["event"] for line in lines] == ["task.save_failed"]
    last = await ended(store, task)
    assert (last.status, last.result) == ("completed", {"rows": 3})
    await runner.stop()


async def test_a_store_that_is_away_at_the_stop_leaves_the_task_to_the_next_start(
    store: Store, clock: ManualClock
) -> None:
    tasks = AwayStore(store.tasks)
    runner = TaskRunner(tasks, clock, "p1")
    work = Work()
    task = await runner.start("acme", "export", work)
    await work.started.wait()
    tasks.away = True
    with capture_logs() as lines:
        await runner.stop()
    assert [line["event"] for line in lines] == ["task.outcome_lost"]
    assert await TaskRecovery(store.tasks, store.leases, clock).recover(all_owners=True) == 1
    assert (await ended(store, task)).status == "failed"


async def test_a_task_that_nobody_runs_can_be_cancelled(store: Store, clock: ManualClock) -> None:
    dead, alive = TaskRunner(store.tasks, clock, "p1"), TaskRunner(store.tasks, clock, "p2")
    task = await dead.start("acme", "export", Work())
    assert (await alive.cancel("acme", task.id)).status == "cancelled"
    await dead.stop()


def nothing_runs(runner: TaskRunner) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return not runner._runs

    return holds


async def test_what_another_process_ended_stays_as_it_was_ended_and_its_work_stops(
    store: Store, clock: ManualClock
) -> None:
    here, elsewhere = TaskRunner(store.tasks, clock, "p1"), TaskRunner(store.tasks, clock, "p2")
    work = Work()
    task = await here.start("acme", "export", work)
    await work.started.wait()
    assert (await elsewhere.cancel("acme", task.id)).status == "cancelled"
    watching = asyncio.create_task(here.watch())
    await asyncio.sleep(0)
    clock.advance(LOOK_SECONDS)
    await until(nothing_runs(here), 5, every=0)
    watching.cancel()
    assert (await ended(store, task)).status == "cancelled"
    assert [entry["status"] for entry in await shown(store)] == ["pending", "running", "cancelled"]


async def test_work_that_was_ended_elsewhere_stops_at_its_next_sign_of_progress(
    store: Store, clock: ManualClock
) -> None:
    here, elsewhere = TaskRunner(store.tasks, clock, "p1"), TaskRunner(store.tasks, clock, "p2")
    began, go_on, went_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(progress: Progress) -> Mapping[str, Any]:
        began.set()
        await go_on.wait()
        await progress(50)
        went_on.set()
        return {}

    task = await here.start("acme", "export", work)
    await began.wait()
    await elsewhere.cancel("acme", task.id)
    go_on.set()
    await until(nothing_runs(here), 5, every=0)
    assert not went_on.is_set()
    assert (await ended(store, task)).status == "cancelled"


async def test_unfinished_tasks_of_other_processes_count(store: Store, clock: ManualClock) -> None:
    here, elsewhere = TaskRunner(store.tasks, clock, "p1"), TaskRunner(store.tasks, clock, "p2")
    for _ in range(UNFINISHED_PER_TENANT):
        await elsewhere.start("acme", "export", Work())
    with pytest.raises(TooManyRequests):
        await here.start("acme", "export", Work())
    await here.start("other", "export", Work())
    await here.stop()
    await elsewhere.stop()
