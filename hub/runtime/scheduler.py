"""What a process does for the whole hub: show that it lives, keep its own house, and the hub's while it leads."""

from contextlib import AsyncExitStack
from functools import partial

from hub.cluster.leadership import Leadership
from hub.cluster.lease import PROCESSES, WORKERS, heartbeat_lease
from hub.cluster.roles import Role
from hub.maintenance.housekeeping import Housekeeping
from hub.runtime.background import run_in_background
from hub.runtime.core import Core
from hub.runtime.worker import Worker, make_worker
from hub.tasks import TaskRecovery


async def start_heartbeat(stack: AsyncExitStack, core: Core) -> None:
    """Let others know, from before it starts anything until after it has ended everything, that this process lives."""
    kinds = (PROCESSES, WORKERS) if Role.WORKER in core.roles else (PROCESSES,)
    for sign in (heartbeat_lease(core.store.leases, kind, core.id, core.clock) for kind in kinds):
        await sign.take()
        stack.push_async_callback(sign.release)
        run_in_background(stack, sign.name, sign.hold, core.clock)


def make_housekeeping(
    core: Core, leadership: Leadership, recovery: TaskRecovery, worker: Worker | None
) -> Housekeeping:
    """The timetable, of which any process can run any line when it is asked to."""
    sweep = worker.sweep if worker is not None else make_worker(core).dispatcher.sweep
    return Housekeeping(
        core.settings,
        core.store,
        core.clock,
        leadership,
        core.roles,
        sweep=sweep,
        end_abandoned_tasks=recovery.recover,
    )


def start_housekeeping(stack: AsyncExitStack, core: Core, housekeeping: Housekeeping, leadership: Leadership) -> None:
    """Its own jobs at once; as a scheduler, the hub's whenever it leads."""
    housekeeping.start()
    if Role.SCHEDULER in core.roles:
        core.metrics.watch("leads", "1 where the hub's schedules are fired.", lambda: leadership.token is not None)
        stack.push_async_callback(leadership.resign)
        run_in_background(stack, "leadership", partial(leadership.run, housekeeping.lead), core.clock)
    stack.push_async_callback(housekeeping.stop, core.settings.shutdown_grace)
