"""What a process does for the whole hub: its heartbeat, its own housekeeping, and the hub's while it leads."""

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
    """Show the others that this process lives. Call it before anything else is started, so that it also ends last."""
    kinds = (PROCESSES, WORKERS) if Role.WORKER in core.roles else (PROCESSES,)
    for lease in (heartbeat_lease(core.store.leases, kind, core.id, core.clock) for kind in kinds):
        # Before anything else: the tasks of a process without this lease count as abandoned.
        await lease.take()
        stack.push_async_callback(lease.release)
        run_in_background(stack, lease.name, lease.hold, core.clock)


def make_housekeeping(
    core: Core, leadership: Leadership, recovery: TaskRecovery, worker: Worker | None
) -> Housekeeping:
    """The timetable. Any process can run any of its jobs on request, so one without a worker gets a sweep as well."""
    sweep = worker.sweep if worker is not None else make_worker(core).dispatcher.sweep
    return Housekeeping(
        core.settings,
        core.store,
        core.clock,
        leadership,
        core.roles,
        core.clock_watch,
        core.threads["cleanup"],
        sweep=sweep,
        end_abandoned_tasks=recovery.recover,
        count_run=core.metrics.ran,
    )


def start_housekeeping(stack: AsyncExitStack, core: Core, housekeeping: Housekeeping, leadership: Leadership) -> None:
    """Start this process's own jobs at once, and on a scheduler the hub's jobs whenever it leads."""
    housekeeping.start()
    if Role.SCHEDULER in core.roles:
        core.metrics.watch("leads", "1 where the hub's schedules are fired.", lambda: leadership.token is not None)
        off = "By how many seconds a clock jumped that is not trusted yet."
        core.metrics.watch("clock_off_seconds", off, lambda: core.clock_watch.off_seconds)
        # Pushed before the loop is started, and so called after it has ended: it would acquire the lease again.
        stack.push_async_callback(leadership.resign)
        run_in_background(stack, "leadership", partial(leadership.run, housekeeping.lead), core.clock)
    stack.push_async_callback(housekeeping.stop, core.settings.shutdown_grace)
