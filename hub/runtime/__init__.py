"""The composition root: one open process of the hub, of the parts that its roles need, and how it ends."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from hub.clock import Clock, SystemClock
from hub.cluster.follower import Follower
from hub.cluster.leadership import Leadership
from hub.cluster.roles import EVERY_ROLE, Role
from hub.runtime.background import run_in_background
from hub.runtime.core import Core, open_core
from hub.runtime.readiness import Readiness
from hub.runtime.scheduler import make_housekeeping, start_heartbeat, start_housekeeping
from hub.runtime.web import Services, open_web
from hub.runtime.worker import Worker, make_worker, start_worker
from hub.settings import Settings
from hub.stores.base import Signal
from hub.tasks import TaskRecovery
from hub.telemetry.metrics import Metrics
from hub.telemetry.tracing import Tracing

__all__ = ["Process", "Services", "open_process"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Process:
    """An open process of the hub. `hub` and `worker` are None where it has not that role."""

    metrics: Metrics
    readiness: Readiness
    services: Services | None
    worker: Worker | None

    def begin_stop(self) -> None:
        """Not ready from now on: start no new attempt, and let listeners go."""
        self.readiness.stopping = True
        if self.worker is not None:
            self.worker.dispatcher.stop_claiming()
        if self.services is not None:
            self.services.stream.close()


@asynccontextmanager
async def open_process(
    settings: Settings, tracing: Tracing, clock: Clock | None = None, roles: Collection[Role] = EVERY_ROLE
) -> AsyncIterator[Process]:
    """Build the parts of these roles, put them to work, and on leaving stop them gracefully.

    Raises `HubError` where the process cannot play its roles, saying what to do.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tracing.aclose)
        core = await open_core(stack, settings, roles, tracing, clock or SystemClock())
        yield await _play(stack, core)


async def _play(stack: AsyncExitStack, core: Core) -> Process:
    """Each part after those that it needs; they end the other way round."""
    store, clock = core.store, core.clock
    await start_heartbeat(stack, core)
    recovery = TaskRecovery(store.tasks, store.leases, clock)
    if not store.shared:
        await recovery.recover(all_owners=True)
    leadership = Leadership(store.leases, core.id, clock)
    worker = make_worker(core) if Role.WORKER in core.roles else None
    tell = worker.on_signal if worker is not None else None
    housekeeping = make_housekeeping(core, leadership, recovery, worker)
    services = await open_web(stack, core, housekeeping, tell or _nobody) if Role.WEB in core.roles else None
    follower = Follower(store.signals, core.catalogue, clock, tell=tell, found=services.found if services else _nothing)
    run_in_background(stack, "signals", follower.listen, clock)
    run_in_background(stack, "catalogue", follower.watch, clock)
    if worker is not None:
        await start_worker(stack, core, worker)
    start_housekeeping(stack, core, housekeeping, leadership)
    _log.info("at work", process=core.id, roles=sorted(core.roles))
    return Process(core.metrics, Readiness(store.upkeep, store.leases, follower, core.roles), services, worker)


def _nobody(signal: Signal) -> None:
    """Nobody of this process delivers."""


async def _nothing() -> None:
    """Nothing is to be made again."""
