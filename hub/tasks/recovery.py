"""Ending the tasks that dead processes left behind."""

from collections.abc import Sequence

from hub.clock import Clock
from hub.cluster.lease import live_processes
from hub.models import Task, TaskStatus
from hub.stores.base import Leases, Tasks
from hub.tasks.saving import save

BATCH = 200
_INTERRUPTED = "interrupted by a restart; run it again"


class TaskRecovery:
    """Looks again and again: a process counts as dead when two looks in a row find no sign of its life, for after
    trouble with the store the living need a moment to show themselves."""

    def __init__(self, tasks: Tasks, leases: Leases, clock: Clock) -> None:
        self._tasks = tasks
        self._leases = leases
        self._clock = clock
        self._missing: frozenset[str] = frozenset()

    async def recover(self, *, all_owners: bool = False) -> int:
        """Mark as failed what dead processes left unfinished; gives how many. With `all_owners` whoever owns it: right
        when no other process can be alive, and this one has started nothing yet."""
        count, limit, missing = 0, BATCH, set[str]()
        while True:
            left = await self._tasks.unfinished(limit)
            absent = await self._absent(left)
            missing |= absent
            dead = [task for task in left if all_owners or task.owner in absent & self._missing]
            for task in dead:
                now = self._clock.now()
                count += bool(await save(self._tasks, task, now, status=TaskStatus.FAILED, error=_INTERRUPTED))
            if len(left) < limit:
                break
            limit += 0 if dead else BATCH
        self._missing = frozenset(missing)
        return count

    async def _absent(self, tasks: Sequence[Task]) -> frozenset[str]:
        """The owners of these that show no sign of life."""
        owners = {task.owner for task in tasks}
        return frozenset(owners - await live_processes(self._leases, owners))
