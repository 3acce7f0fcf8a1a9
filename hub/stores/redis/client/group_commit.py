"""Group commit over Redis: everything that waits becomes one call of a script; one call of a kind is made at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from hub.errors import HubError, Unavailable
from hub.failpoints import Failpoint
from hub.stores.group_commit import Backlog, Job, settle

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Call = Callable[[int, Sequence[Item]], Awaitable[Sequence[Outcome | HubError]]]
"""Makes one call for all items, in order, and gives an outcome for each.

The number tells this call from the others of its kind, so that the script recognizes a call that is made again because
its answer was lost; see `lua/lib/calls.lua`.
"""


class GroupCommit(Generic[Item, Outcome]):
    """The calls of one kind that this process makes: one at a time, numbered from 1.

    Example:

        async def measure(number: int, items: Sequence[str]) -> list[int]:
            return [len(item) for item in items]

        measuring: GroupCommit[str, int] = GroupCommit("measure", measure, lambda name: None)
        await measuring.submit("a row")  # 5
    """

    def __init__(self, name: str, call: Call[Item, Outcome], failpoint: Failpoint) -> None:
        """`failpoint` is called with `before_<name>` and `after_<name>` around each call."""
        self._name = name
        self._call = call
        self._failpoint = failpoint
        self._number = 0
        self._backlog: Backlog[Item] = Backlog("the Redis server", self._ensure_working)
        self._working: asyncio.Task[None] | None = None

    def submit(self, item: Item, *, rows: int = 1, vital: bool = False) -> Coroutine[Any, Any, Outcome]:
        """The item's outcome, once it is written. Raises what `Backlog.submit` raises."""
        return self._backlog.submit(item, rows=rows, vital=vital)

    async def close(self) -> None:
        """Refuse new work, and return when everything that was submitted is written or refused."""
        self._backlog.close()
        if self._working is not None:
            await self._working

    def _ensure_working(self) -> None:
        if self._working is None:
            self._working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        # It ends when nothing waits, and the next job starts it again, so an idle process has no task for each kind.
        try:
            while jobs := self._backlog.take():
                self._number += 1
                await self._write(jobs)
        finally:
            self._working = None

    async def _write(self, jobs: Sequence[Job[Item]]) -> None:
        try:
            self._failpoint(f"before_{self._name}")
            outcomes = await self._call(self._number, [job.item for job in jobs])
            self._failpoint(f"after_{self._name}")
        except Unavailable as error:
            settle((job, error) for job in [*jobs, *self._backlog.drain()])
        except Exception as error:  # noqa: BLE001 - every job must get an answer
            settle((job, error) for job in jobs)
        else:
            settle(zip(jobs, outcomes, strict=True))
