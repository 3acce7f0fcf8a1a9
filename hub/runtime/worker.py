"""The parts of the role `worker`: the dispatcher, and what makes and changes the deliveries of events that have very
many."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import SystemRandom

from hub.dispatch import Dispatcher
from hub.dispatch.change_runner import ChangeRunner
from hub.publishing.fanout import FanOutExpander
from hub.runtime.background import run_in_background
from hub.runtime.core import Core
from hub.stores.base import Signal


@dataclass(frozen=True, slots=True)
class Worker:
    """Delivers. Made by `make_worker`, and started by `start_worker`."""

    dispatcher: Dispatcher
    fan_out: FanOutExpander
    changes: ChangeRunner

    def on_signal(self, signal: Signal) -> None:
        """Begin the work that a signal announces, from this process or from another."""
        if signal.due:
            self.dispatcher.notify(signal.due)
        if signal.fans_out:
            self.fan_out.wake()

    async def sweep(self) -> int:
        """Find work that is due and what dead processes left behind, whether a signal announced it or not.

        Gives how many attempts dead workers left behind.
        """
        self.fan_out.wake()
        self.changes.wake()
        return await self.dispatcher.sweep()


def make_worker(core: Core) -> Worker:
    """A worker that is not started. In a process without the role `worker` only its sweep is used."""
    settings = core.settings
    dispatcher = Dispatcher(
        core.store.queue,
        core.catalogue,
        core.subscriptions,
        core.sender,
        core.clock,
        core.metrics,
        max_in_flight=settings.max_in_flight,
        attempt_timeout=settings.attempt_timeout,
        failpoint=core.failpoint,
        random=SystemRandom(),
        time_of_day=core.clock_watch.time_of_day,
        lease=settings.lease,
    )
    fan_out = FanOutExpander(core.store.intake, core.catalogue, core.clock, core.notifier.notify)
    return Worker(dispatcher, fan_out, core.changes)


async def start_worker(stack: AsyncExitStack, core: Core, worker: Worker) -> None:
    """Take over what an earlier process left behind, and start to deliver."""
    dispatcher, lanes, watch = worker.dispatcher, worker.dispatcher.lanes, core.metrics.watch
    watch("attempts_in_flight", "Attempts under way.", lambda: lanes.in_flight)
    watch("lanes", "Subscriptions with work or trouble.", lambda: len(lanes))
    watch("lanes_resting", "Lanes with an open breaker.", lambda: lanes.breakers_open)
    # Where no other process can be alive, every lease in the store is one of a dead process, and need not run out
    # first.
    await dispatcher.sweep(all_owners=not core.store.shared)
    run_in_background(stack, "fan-out", worker.fan_out.run, core.clock)
    run_in_background(stack, "changes", worker.changes.run, core.clock)
    run_in_background(stack, "dispatcher", dispatcher.run, core.clock)
    # Pushed after the loop was started, and so called before it is cancelled: attempts under way get their grace.
    stack.push_async_callback(dispatcher.stop, core.settings.shutdown_grace)
