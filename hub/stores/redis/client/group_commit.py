"""Group commit: what comes while a script of its kind is under way is gathered, and makes the next call of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from hub.errors import HubError, Unavailable
from hub.failpoints import Failpoint

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Carry = Callable[[int, Sequence[Item]], Awaitable[Sequence[Outcome | HubError]]]
"""Makes one call for all items, in order, and gives an outcome for each. The number tells this call from the others of
its kind, so that it can be made again after its answer was lost."""

GROUP_ROWS: Final = 500
WAITING_ROWS: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[Item, Outcome]):
    item: Item
    rows: int
    future: "asyncio.Future[Outcome]"


class GroupCommit(Generic[Item, Outcome]):
    """The calls of one kind that this process makes: one at a time, numbered."""

    def __init__(self, name: str, carry: Carry[Item, Outcome], failpoint: Failpoint) -> None:
        """`failpoint` is called with `before_<name>` and `after_<name>` around each."""
        self._name = name
        self._carry = carry
        self._failpoint = failpoint
        self._number = 0
        self._waiting: list[_Job[Item, Outcome]] = []
        self._rows = 0
        self._working: asyncio.Task[None] | None = None

    async def make(self, item: Item, *, rows: int = 1, vital: bool = False) -> Outcome:
        """The item's outcome, once it is written. Where too much waits already, what is not `vital` is refused."""
        if self._rows > WAITING_ROWS and not vital:
            raise Unavailable("More is waiting to be stored than the Redis server takes; slow down.", retry_after=1.0)
        job: _Job[Item, Outcome] = _Job(item, rows, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._rows += rows
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await job.future

    async def close(self) -> None:
        """Return when nothing waits any more."""
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        try:
            while jobs := self._take():
                self._number += 1
                await self._settle(jobs)
        finally:
            self._working = None

    def _take(self) -> list[_Job[Item, Outcome]]:
        rows, number = 0, 0
        while number < len(self._waiting) and rows < GROUP_ROWS:
            rows += self._waiting[number].rows
            number += 1
        jobs, self._waiting = self._waiting[:number], self._waiting[number:]
        self._rows -= rows
        # Whoever went away before its call was made has nothing written.
        return [job for job in jobs if not job.future.done()] or (self._take() if self._waiting else [])

    async def _settle(self, jobs: Sequence[_Job[Item, Outcome]]) -> None:
        try:
            self._failpoint(f"before_{self._name}")
            outcomes = await self._carry(self._number, [job.item for job in jobs])
            self._failpoint(f"after_{self._name}")
        except Unavailable as error:
            # Those who queued up meanwhile have waited as long already.
            self._refuse([*jobs, *self._waiting], error)
            self._waiting, self._rows = [], 0
            return
        except Exception as error:  # noqa: BLE001 - every job must get an answer
            self._refuse(jobs, error)
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, HubError):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    @staticmethod
    def _refuse(jobs: Sequence[_Job[Item, Outcome]], error: Exception) -> None:
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(error)
