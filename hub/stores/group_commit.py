"""Group commit: work that arrives while one group is being written is gathered, and becomes the next group.

There is no artificial wait, so a lone write is as fast as it can be, and a burst shares one commit. Both stores follow
the rules of this module; how a group is written is their own: `hub.stores.sqlite.database.writer` writes in a thread,
and `hub.stores.redis.client.group_commit` makes one call of a script at a time. See docs/decisions/0001.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from hub.errors import Unavailable

Item = TypeVar("Item")

GROUP_ROWS: Final = 500
"""A group has at most this many rows: a larger one would delay others without being faster for each row. Only a job
that has more by itself is a group of its own."""
WAITING_ROWS: Final = 50_000
"""When more rows than these wait or are under way, new work is refused, because it would only fill the memory."""


# Not frozen: `__init__` of a frozen class takes three times as long, and each write makes a job.
@dataclass(slots=True, eq=False)
class Job(Generic[Item]):
    """An item to be written, and the future that its submitter awaits. `vital` work ends what has begun, so that
    refusing it would free nothing."""

    item: Item
    rows: int
    vital: bool
    future: "asyncio.Future[Any]"


Settled = Iterable[tuple[Job[Any], Any]]
"""Jobs with their outcomes. An outcome that is an exception is raised where the job was submitted."""


class Backlog(Generic[Item]):
    """The work that waits to be written, in the order in which it was submitted.

    `submit`, `close` and `settle` are called in the event loop; `take` and `drain` in one thread, which may be another.

    Example:

        backlog: Backlog[str] = Backlog("the disk")
        submitting = asyncio.create_task(backlog.submit("a row"))
        await asyncio.sleep(0)
        settle((job, len(job.item)) for job in backlog.take())
        await submitting  # 5
    """

    def __init__(self, target: str, added: Callable[[], None] = lambda: None) -> None:
        """`target` names what cannot keep up, in refusals. `added` is called after each job that was added."""
        self._target = target
        self._added = added
        # None is put in last. It is never taken out for good, so every later `take` meets it and does not wait.
        self._jobs: SimpleQueue[Job[Item] | None] = SimpleQueue()
        # The first of the next group: it was looked at, and did not fit into the last one.
        self._next: Job[Item] | None = None
        # Counted in the event loop only, from submission to outcome: a job that waits and one that is being written
        # take the same memory, and a job whose submitter was cancelled is uncounted at once.
        self._rows = 0
        self._closing = False

    async def submit(self, item: Item, *, rows: int = 1, vital: bool = False) -> Any:
        """The item's outcome, once it is written.

        Raises the outcome if it is an exception, and `Unavailable` when the store is closing, or when more than
        `WAITING_ROWS` wait and the work is not `vital`.
        """
        if self._closing:
            raise Unavailable("The hub is shutting down; try again.", retry_after=5.0)
        if self._rows > WAITING_ROWS and not vital:
            raise Unavailable(f"More is waiting to be stored than {self._target} takes; slow down.", retry_after=1.0)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._rows += rows
        self._jobs.put(Job(item, rows, vital, future))
        self._added()
        try:
            return await future
        finally:
            self._rows -= rows

    def close(self) -> None:
        """Refuse new work from now on. What was submitted before can still be taken."""
        self._closing = True
        self._jobs.put(None)

    def take(self, *, wait: bool = False) -> list[Job[Item]]:
        """The next group, without jobs whose submitters were cancelled: nothing of those is written.

        It has at most `GROUP_ROWS` rows, or is one job. It is empty when no job is there; with `wait`, only when the
        backlog was closed and everything was taken.
        """
        group: list[Job[Item]] = []
        rows = 0
        with suppress(Empty):
            while rows < GROUP_ROWS:
                job = self._next or self._jobs.get(wait and not group)
                self._next = None
                if job is None:
                    self._jobs.put(None)
                    break
                if job.future.done():
                    continue
                if group and rows + job.rows > GROUP_ROWS:
                    self._next = job
                    break
                group.append(job)
                rows += job.rows
        return group

    def drain(self) -> list[Job[Item]]:
        """All jobs that wait, for a group that failed after a long wait.

        They have waited as long as the group did, and would wait as long again for the same error.
        """
        jobs = [self._next] if self._next else []
        self._next = None
        with suppress(Empty):
            while job := self._jobs.get(block=False):
                jobs.append(job)
            self._jobs.put(None)
        return jobs


def settle(outcomes: Settled) -> None:
    """Give each job its outcome, in the event loop."""
    for job, outcome in outcomes:
        # The submitter may have been cancelled while the job was written.
        if job.future.done():
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)
