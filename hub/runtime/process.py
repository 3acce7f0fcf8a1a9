"""One open process of the hub: the parts that its roles need, the order in which they start, and how they end."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from hub.clock import Clock, SystemClock
from hub.cluster.follower import Follower
from hub.cluster.leadership import Leadership
from hub.cluster.roles import EVERY_ROLE, Role
from hub.maintenance.backlog_gauges import BacklogGauges
from hub.runtime.background import run_in_background
from hub.runtime.core import Core, open_core
from hub.runtime.readiness import Readiness
from hub.runtime.scheduler import make_housekeeping, start_heartbeat, start_housekeeping
from hub.runtime.services import Services, open_services
from hub.runtime.worker import Worker, make_worker, start_worker
from hub.settings import Settings
from hub.tasks import TaskRecovery
from hub.telemetry.tracing import Tracing

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Process:
    """An open process of the hub.

    `services` is None without the role `web`, `worker` without the role `worker`, and `backlog` without the role
    `scheduler`: numbers of the whole hub are to be read once, and not by each of many processes.
    """

    core: Core
    readiness: Readiness
    services: Services | None
    worker: Worker | None
    backlog: BacklogGauges | None

    def begin_stop(self) -> None:
        """Answer that this process is not ready, start no new attempt, and end every live stream."""
        self.readiness.stopping = True
        if self.worker is not None:
            self.worker.dispatcher.stop_claiming()
        if self.services is not None:
            self.services.stream.close()


@asynccontextmanager
async def open_process(
    settings: Settings, tracing: Tracing, clock: Clock | None = None, roles: Collection[Role] = EVERY_ROLE
) -> AsyncIterator[Process]:
    """Make the parts of these roles, start them, and stop them gracefully when the context ends.

    Example:

        async with open_process(Settings(), Tracing("")) as process:
            await process.services.publisher.publish_one("default", event, None)

    Raises `HubError` when the process cannot play its roles; its text says what to do.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tracing.aclose)
        core = await open_core(stack, settings, roles, tracing, clock or SystemClock())
        yield await _start(stack, core)


async def _start(stack: AsyncExitStack, core: Core) -> Process:
    """Start each part after those that it needs; the stack ends them in the opposite order."""
    store, clock = core.store, core.clock
    await start_heartbeat(stack, core)
    recovery = TaskRecovery(store.tasks, store.leases, clock)
    if not store.shared:
        # Nobody else has this store open, so whatever is unfinished in it belongs to a process that is dead.
        await recovery.recover(all_owners=True)
    leadership = Leadership(store.leases, core.id, clock)
    worker = make_worker(core) if Role.WORKER in core.roles else None
    if worker is not None:
        # Before anything can notify: a signal that comes before the worker's first sweep must not get lost.
        core.notifier.subscribe(worker.on_signal)
    housekeeping = make_housekeeping(core, leadership, recovery, worker)
    services = await open_services(stack, core, housekeeping) if Role.WEB in core.roles else None
    on_rollback = services.ensure_defaults if services is not None else None
    follower = Follower(store.signals, core.catalogue, clock, core.notifier, on_rollback=on_rollback)
    run_in_background(stack, "signals", follower.listen, clock)
    run_in_background(stack, "catalogue", follower.watch, clock)
    if worker is not None:
        await start_worker(stack, core, worker)
    if store.shared:
        await _share_holds(stack, core)
    # Last to start and so first to end: its jobs use everything that was started before.
    start_housekeeping(stack, core, housekeeping, leadership)
    _watch_loop(stack, core)
    _log.info("process.started", process=core.id, roles=sorted(core.roles))
    readiness = Readiness(
        store.upkeep,
        store.leases,
        follower,
        core.roles,
        core.clock_watch,
        partial(_warnings, core),
        stalled_seconds=lambda: worker.dispatcher.stalled_seconds if worker is not None else 0.0,
    )
    for warning in _warnings(core):
        _log.warning("process.warned", warning=warning)
    gauges = BacklogGauges(store.upkeep, core.catalogue, core.sender.holds, clock, core.metrics)
    return Process(core, readiness, services, worker, gauges if Role.SCHEDULER in core.roles else None)


def _watch_loop(stack: AsyncExitStack, core: Core) -> None:
    """Show how far the event loop is behind, and what waits for the threads and processes beside it."""
    watch, compute, lag = core.metrics.watch, core.compute, core.loop_lag
    run_in_background(stack, "loop lag", lag.watch, core.clock)
    core.metrics.watch_total("requests_shed", "Requests to publish that a busy loop refused.", lambda: lag.refused)
    watch("compute_waiting", "Calls that wait for a process that computes.", lambda: compute.waiting)
    watch("compute_busy", "Processes that compute.", lambda: compute.busy)
    for threads in core.threads.values():
        watch(f"{threads.name}_threads_waiting", "Calls that wait for a thread.", partial(getattr, threads, "waiting"))
        watch(f"{threads.name}_threads_busy", "Calls in a thread.", partial(getattr, threads, "busy"))


async def _share_holds(stack: AsyncExitStack, core: Core) -> None:
    """Tell the other processes what this one holds, or learn it from those that deliver."""
    if Role.WORKER in core.roles:
        run_in_background(stack, "holds", core.shared_holds.report, core.clock)
    else:
        await core.shared_holds.read()
        run_in_background(stack, "holds", core.shared_holds.follow, core.clock)


def _warnings(core: Core) -> Sequence[str]:
    """What an operator has to know of the catalogue."""
    held = core.sender.holds.warnings(core.catalogue.every_subscription())
    unread = core.catalogue.count_passed_over()
    if not unread:
        return held
    counted = ", ".join(f"{number} of kind {kind}" for kind, number in sorted(unread.items()))
    return [*held, f"Records of the catalogue cannot be read by this version of the hub: {counted}."]
