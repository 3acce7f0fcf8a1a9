"""Running tasks: a few at once in each process, in any number of processes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
import structlog

from hub.clock import Clock
from hub.errors import Conflict, HubError, NotFound, TooManyRequests, Unavailable
from hub.ids import new_id
from hub.models import Task, TaskStatus
from hub.stores.base import Listing, Page, Tasks
from hub.tasks.saving import UNFINISHED, save

Progress = Callable[[float], Awaitable[None]]
"""Called by the work with its progress, from 0 to 100; saves it once a second at most."""
Work = Callable[[Progress], Awaitable[Mapping[str, Any]]]
"""The work itself; the JSON object that it gives is the task's result."""

RUNNING_AT_ONCE = 4
UNFINISHED_PER_TENANT = 20
UNFINISHED_IN_ALL = 1_000
PROGRESS_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""Between checks whether another process has ended what runs here."""
STORE_RETRY_SECONDS = 1.0
STOP_SECONDS = 5.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Run:
    """A task as it was last saved, its work, and `end`, which saves how the work ended and is never cancelled with it.

    `cancelled` is true when a person asked for the cancellation, and false at shutdown.
    """

    task: Task
    work: asyncio.Task[Mapping[str, Any]] | None = None
    end: asyncio.Task[None] | None = None
    cancelled: bool = False


class TaskRunner:
    """Runs a few tasks at once while others wait; every state is saved and goes to the live stream.

    Example:

        async def work(progress: Progress) -> dict[str, object]:
            await progress(50)
            return {"rows": 1_000}

        task = await runner.start("default", "export", work)
        task = await runner.task("default", task.id)  # pending, running, completed, failed or cancelled

    Tasks carry the id of their process, so that others can end them if it dies (`hub.tasks.recovery`).
    """

    def __init__(self, tasks: Tasks, clock: Clock, process_id: str) -> None:
        self._tasks = tasks
        self._clock = clock
        self._process_id = process_id
        self._turns = asyncio.Semaphore(RUNNING_AT_ONCE)
        self._runs: dict[str, _Run] = {}
        self._stopping = False

    async def watch(self) -> NoReturn:
        """Stop the work of tasks that another process has ended, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            for run in list(self._runs.values()):
                try:
                    kept = await self._tasks.task(run.task.tenant, run.task.id)
                except Unavailable:
                    break
                if kept is not None and kept.status not in UNFINISHED and run.work is not None:
                    run.work.cancel()

    async def start(self, tenant: str, kind: str, work: Work) -> Task:
        """Save a pending task and start its work.

        Raises `TooManyRequests` when the tenant has too many unfinished tasks, `Unavailable` when the hub is stopping.
        """
        unfinished = await self._tasks.unfinished(UNFINISHED_IN_ALL)
        if self._stopping:
            raise Unavailable("The hub is stopping; try again.", retry_after=STOP_SECONDS)
        # Other processes' tasks are known from the store; this one's may still be on their way into it.
        owners = {task.id: task.tenant for task in (*unfinished, *(run.task for run in self._runs.values()))}
        if len(owners) >= UNFINISHED_IN_ALL or [*owners.values()].count(tenant) >= UNFINISHED_PER_TENANT:
            raise TooManyRequests("Too many tasks are unfinished; wait for one to end, or cancel it.", retry_after=10.0)
        now = self._clock.now()
        task = Task(
            id=new_id("tsk"),
            tenant=tenant,
            kind=kind,
            status=TaskStatus.PENDING,
            owner=self._process_id,
            created_at=now,
            updated_at=now,
        )
        run = self._runs[task.id] = _Run(task)
        try:
            await save(self._tasks, task, now)
        except BaseException:
            del self._runs[task.id]
            raise
        run.work = asyncio.create_task(self._work(run, work), name=f"{kind} {task.id}")
        run.end = asyncio.create_task(self._save_outcome(run, run.work))
        return run.task

    async def listing(self, tenant: str, page: Page) -> Listing[Task]:
        """Newest first."""
        return await self._tasks.tasks(tenant, page)

    async def task(self, tenant: str, task_id: str) -> Task:
        """Raises `NotFound`."""
        task = await self._tasks.task(tenant, task_id)
        if task is None:
            raise NotFound("There is no such task.")
        return task

    async def cancel(self, tenant: str, task_id: str) -> Task:
        """Cancel an unfinished task. Gives the task as it is then: it may have ended by itself, or be ending still.

        Raises `NotFound`, and `Conflict` when it has ended already.
        """
        task = await self.task(tenant, task_id)
        if task.status not in UNFINISHED:
            raise Conflict(f"The task is already {task.status}.")
        run = self._runs.get(task_id)
        if run is None or run.work is None or run.end is None:
            # Another process runs it, and `watch` there stops the work when it sees this.
            cancelled = await save(self._tasks, task, self._clock.now(), status=TaskStatus.CANCELLED)
            return cancelled or await self.task(tenant, task_id)
        run.cancelled = True
        run.work.cancel()
        await asyncio.wait([run.end], timeout=STOP_SECONDS)
        return await self.task(tenant, task_id)

    async def stop(self) -> None:
        """Start no more tasks, and end those that run as failed."""
        self._stopping = True
        for run in self._runs.values():
            if run.work is not None:
                run.work.cancel()
        ends = [run.end for run in self._runs.values() if run.end is not None]
        if ends:
            # What is not saved by then stays unfinished in the store, and `TaskRecovery` of another process ends it.
            _, late = await asyncio.wait(ends, timeout=STOP_SECONDS)
            for end in late:
                end.cancel()

    async def _work(self, run: _Run, work: Work) -> Mapping[str, Any]:
        saved_at = -PROGRESS_SECONDS

        async def progress(percent: float) -> None:
            nonlocal saved_at
            whole, now = min(max(int(percent), 0), 100), self._clock.monotonic()
            if whole != run.task.progress and now - saved_at >= PROGRESS_SECONDS:
                saved_at = now
                await self._save_state(run, progress=whole)

        async with self._turns:
            await self._save_state(run, status=TaskStatus.RUNNING)
            result = dict(await work(progress))
            # Here, where it makes the task fail, and not when the outcome is saved.
            orjson.dumps(result)
            return result

    async def _save_state(self, run: _Run, **changes: Any) -> None:
        """Save a state on the way to the end.

        The work goes on when the store is unavailable, since later states follow. It is cancelled when another process
        has ended the task.
        """
        try:
            saved = await save(self._tasks, run.task, self._clock.now(), **changes)
        except Unavailable:
            _log.warning("task.save_failed", task_id=run.task.id, exc_info=True)
            return
        if saved is None:
            raise asyncio.CancelledError("the task was ended by another process")
        run.task = saved

    async def _save_outcome(self, run: _Run, work: asyncio.Task[Mapping[str, Any]]) -> None:
        """Save how the work ended, however long the store is unavailable; only a shutdown gives up."""
        try:
            # Waiting, unlike awaiting, neither raises what the work raised nor takes its cancellation for this task's
            # own.
            await asyncio.wait([work])
            changes = self._outcome(run, work)
            while True:
                try:
                    await save(self._tasks, run.task, self._clock.now(), **changes)
                    return
                except Unavailable:
                    if self._stopping:
                        raise
                    await self._clock.sleep(STORE_RETRY_SECONDS)
        except Unavailable:
            _log.exception("task.outcome_lost", task_id=run.task.id)
        finally:
            del self._runs[run.task.id]

    def _outcome(self, run: _Run, work: asyncio.Task[Mapping[str, Any]]) -> dict[str, Any]:
        """The changes that the end of the work makes to its task."""
        if work.cancelled():
            if run.cancelled:
                return {"status": TaskStatus.CANCELLED}
            # So it looks here also when another process ended the task; then the store keeps what that process saved.
            return {"status": TaskStatus.FAILED, "error": "interrupted by a shutdown; run it again"}
        error = work.exception()
        if error is None:
            return {"status": TaskStatus.COMPLETED, "progress": 100, "result": work.result()}
        if isinstance(error, HubError):
            return {"status": TaskStatus.FAILED, "error": error.detail}
        _log.error("task.failed", task_id=run.task.id, kind=run.task.kind, exc_info=error)
        return {
            "status": TaskStatus.FAILED,
            "error": f"failed unexpectedly ({type(error).__name__}); see the hub's log",
        }
