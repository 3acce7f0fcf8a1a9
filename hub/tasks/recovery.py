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
    """Marks unfinished tasks of dead processes as failed. A process is dead when two checks in a row do not find its
    lease.

    One check is not enough: after trouble with the store, live processes need a moment to renew their leases.
    """

    def __init__(self, tasks: Tasks, leases: Leases, clock: Clock) -> None:
        self._tasks = tasks
        self._leases = leases
        self._clock = clock
        self._missing: frozenset[str] = frozenset()

    async def recover(self, *, all_owners: bool = False) -> int:
        """Mark as failed what dead processes left unfinished; gives how many tasks.

        With `all_owners` this includes the tasks of every process, which is right only when no other process can be
        alive and this one has started none yet.
        """
        count, limit, missing = 0, BATCH, set[str]()
        while True:
            left = await self._tasks.unfinished(limit)
            absent = await self._absent(left)
            missing |= absent
            dead = [task for task in left if all_owners or task.owner in absent & self._missing]
            for task in dead:
                now = self._clock.now()
                # Nothing is saved over an end, so a task that ended by itself since it was listed keeps its result.
                count += bool(await save(self._tasks, task, now, status=TaskStatus.FAILED, error=_INTERRUPTED))
            if len(left) < limit:
                break
            # Tasks of live processes stay on the list: to see past a full batch of them, the next look takes more.
            limit += 0 if dead else BATCH
        self._missing = frozenset(missing)
        return count

    async def _absent(self, tasks: Sequence[Task]) -> frozenset[str]:
        """The owners of these tasks that do not hold their heartbeat lease."""
        owners = {task.owner for task in tasks}
        return frozenset(owners - await live_processes(self._leases, owners))
