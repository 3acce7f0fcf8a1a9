"""One process of the hub in a simulation: its real parts over ports that are held."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.matching import Matcher
from hub.catalogue.sealing import Sealer
from hub.catalogue.subscriptions import SubscriptionCodec
from hub.catalogue.subscriptions.service import Subscriptions
from hub.compute import ComputePool
from hub.dispatch import Dispatcher
from hub.dispatch.change_runner import ChangeRunner
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.events import Events
from hub.dispatch.sender import Sender
from hub.errors import Unavailable
from hub.publishing.fanout import FanOutExpander
from hub.publishing.publisher import Publisher
from hub.rendering import Renderer
from hub.stores.base import Archive, EventChanges, Intake, Queue, Records, Signal
from hub.telemetry.metrics import Metrics
from hub.telemetry.tracing import Tracing
from tests.simulation.calls import Calls, Owner
from tests.simulation.loop import SimulatedClock
from tests.simulation.targets import CHANNEL, SimulatedChannel, Targets

ROOM: Final = 6
"""How many attempts a process may have under way."""
INLINE: Final = 2
"""For how many subscriptions the request itself makes deliveries."""
TIMEOUT_SECONDS: Final = 10.0
SWEEP_SECONDS: Final = 5.0
running: ContextVar["Process | None"] = ContextVar("running", default=None)
"""Whose task this is."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the simulated parts use of a store."""

    shared: bool
    intake: Intake
    queue: Queue
    archive: Archive
    changes: EventChanges
    records: Records


class Process(Owner):
    """The parts of one process, as `hub.runtime` connects them."""

    def __init__(
        self,
        name: str,
        ports: Ports,
        calls: Calls,
        targets: Targets,
        clock: SimulatedClock,
        random: Random,
        began: Callable[["Process", str, str], None],
    ) -> None:
        super().__init__(name)
        # Not a set: its order would be another one in each run, and so that in which they are cancelled.
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.crashed: BaseException | None = None
        """What ended one of its loops."""
        self._calls = calls
        self._clock = clock
        self._shared = ports.shared
        intake = calls.port(self, "intake", ports.intake)
        queue = calls.port(self, "queue", ports.queue)
        archive = calls.port(self, "archive", ports.archive)
        channel = SimulatedChannel(calls, self, targets, lambda delivery, target: began(self, delivery, target))
        renderer = Renderer({CHANNEL: SimulatedChannel})
        codec = SubscriptionCodec({CHANNEL: channel}, renderer, Sealer("a secret of the simulation"))
        metrics = Metrics()
        # Filters and templates are so light here that it never starts a process.
        compute = ComputePool()
        self.catalogue = Catalogue(calls.port(self, "records", ports.records), codec.decode)
        self.subscriptions = Subscriptions(self.catalogue, codec, clock, compute)
        sender = Sender({CHANNEL: channel}, renderer, Tracing(""), compute)
        self.dispatcher = Dispatcher(
            queue,
            self.catalogue,
            self.subscriptions,
            sender,
            clock,
            metrics,
            max_in_flight=ROOM,
            attempt_timeout=TIMEOUT_SECONDS,
            failpoint=lambda name: None,
            random=random,
            time_of_day=clock.now,
        )
        self.fan_out = FanOutExpander(intake, self.catalogue, clock, self._on_signal)
        self.changes = ChangeRunner(
            archive,
            queue,
            calls.port(self, "changes", ports.changes),
            clock,
            self._on_signal,
            metrics,
            self.catalogue.existing,
            alone=not ports.shared,
        )
        self.publisher = Publisher(
            intake,
            self.catalogue,
            clock,
            metrics,
            self._on_signal,
            compute,
            strict_types=False,
            fanout_inline_max=INLINE,
        )
        self.deliveries = Deliveries(
            Events(archive),
            archive,
            intake,
            queue,
            self.changes,
            self.catalogue,
            sender.holds,
            clock,
            self._on_signal,
            metrics,
            Matcher(compute),
        )

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something as this process."""
        token = running.set(self)
        self._calls.loop.create_task(work)
        running.reset(token)

    async def run(self) -> None:
        """Start as `hub serve` does, then work until the process is killed."""
        while not await self._try_start():
            await self._clock.sleep(1.0)
        for part in (self.dispatcher.run, self.fan_out.run, self.changes.run, self._sweep):
            self.begin(self._watched(part))

    async def _try_start(self) -> bool:
        try:
            await self.catalogue.refresh()
            await self.dispatcher.sweep(all_owners=not self._shared)
        except Unavailable:
            return False
        return True

    async def _watched(self, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await part()
        except Exception as error:  # noqa: BLE001 - it is the oracle's to judge
            self.crashed = error

    async def _sweep(self) -> None:
        """What housekeeping and the follower of the catalogue do at intervals."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            self.fan_out.wake()
            self.changes.wake()
            try:
                await self.catalogue.refresh()
                await self.dispatcher.sweep()
            except Unavailable:
                continue

    def _on_signal(self, signal: Signal) -> None:
        if signal.due:
            self.dispatcher.notify(signal.due)
        if signal.fans_out:
            self.fan_out.wake()

    def kill(self) -> None:
        """End as kill -9 does: nothing of it reaches the store or a target any more."""
        self._calls.kill(self)
        for task in [*self.tasks]:
            task.cancel()


def owned_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    """The task factory of the loop: a task belongs to the process whose code made it."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    if (process := running.get()) is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda ended: process.tasks.pop(ended, None))
    return task
