"""The composition root: builds every part of the hub, in the order of their dependencies, and takes them down again."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from secrets import token_urlsafe
from typing import Any

import structlog
from pydantic import SecretStr

from channels.base import Channel, Tools
from channels.discovery import load_channels
from channels.http import open_client
from hub.catalogue import Catalogue
from hub.clock import Clock, SystemClock
from hub.deliveries import Deliveries
from hub.dispatch import Dispatcher, Sender
from hub.errors import HubError
from hub.event_types.service import EventTypes
from hub.failpoints import Failpoint, failpoints
from hub.fanout import FanOutExpander
from hub.housekeeping import Housekeeping
from hub.keyring import Keyring
from hub.metrics import Metrics
from hub.publish import Published, Publisher
from hub.rendering import Renderer
from hub.sealing import Sealer
from hub.settings import Settings
from hub.stores import open_store
from hub.stores.base import Store
from hub.stream import Broadcaster, Limits, MemoryTickets, TicketOffice, open_broadcaster
from hub.subscriptions import SubscriptionForms
from hub.subscriptions.service import Subscriptions
from hub.tasks import TaskRunner
from hub.tracing import Tracing

WORKER_RESTART_SECONDS = 1.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hub:
    """Everything that the entry points need of an open hub."""

    settings: Settings
    clock: Clock
    store: Store
    metrics: Metrics
    catalogue: Catalogue
    keys: Keyring
    event_types: EventTypes
    subscriptions: Subscriptions
    publisher: Publisher
    deliveries: Deliveries
    dispatcher: Dispatcher
    sender: Sender
    fan_out: FanOutExpander
    stream: Broadcaster
    tickets: TicketOffice
    tasks: TaskRunner
    housekeeping: Housekeeping

    async def work_arrived(self, published: Published) -> None:
        """Wake those who deliver. All that a request leaves to do after its answer."""
        self.dispatcher.notice(published.due)
        if published.fans_out:
            self.fan_out.wake()

    def begin_stop(self) -> None:
        """Not ready from now on: start no new attempt, and let listeners go."""
        self.dispatcher.stop_claiming()
        self.stream.close()


@asynccontextmanager
async def open_hub(settings: Settings, tracing: Tracing, clock: Clock | None = None) -> AsyncIterator[Hub]:
    """Build the hub, put it to work, and on leaving stop it gracefully.

    Raises `HubError` where the store, a stored secret or a channel cannot be used, saying what to do.
    """
    clock = clock or SystemClock()
    _make_private(settings.data_dir)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tracing.aclose)
        failpoint = failpoints(settings.failpoints)
        store = await stack.enter_async_context(open_store(settings.store_url, clock, failpoint=failpoint))
        channels = await _open_channels(stack, settings)
        hub = await _assemble(stack, settings, tracing, clock, store, channels, failpoint)
        _show_gauges(hub)
        await _start(stack, hub)
        yield hub


async def _assemble(
    stack: AsyncExitStack,
    settings: Settings,
    tracing: Tracing,
    clock: Clock,
    store: Store,
    channels: Mapping[str, Channel[Any]],
    failpoint: Failpoint,
) -> Hub:
    """Every part of the hub, each given the narrow ports that it needs."""
    metrics = Metrics()
    renderer = Renderer({kind: type(channel) for kind, channel in channels.items()})
    sealer = Sealer(_secret(settings.secret_key, settings.data_dir / "secret.key"))
    forms = SubscriptionForms(channels, renderer, sealer)
    catalogue = Catalogue(store.records, forms.decode)
    await catalogue.refresh()
    keys = Keyring(catalogue, clock, _secret(settings.admin_key, settings.data_dir / "admin.key"))
    await keys.ensure_default_tenant()
    subscriptions = Subscriptions(catalogue, forms, clock)
    sender = Sender(channels, renderer, tracing)
    dispatcher = Dispatcher(
        store.queue,
        catalogue,
        subscriptions,
        sender,
        clock,
        metrics,
        max_in_flight=settings.max_in_flight,
        attempt_timeout=settings.attempt_timeout,
        failpoint=failpoint,
        random=SystemRandom(),
    )
    return Hub(
        settings=settings,
        clock=clock,
        store=store,
        metrics=metrics,
        catalogue=catalogue,
        keys=keys,
        event_types=EventTypes(catalogue, clock),
        subscriptions=subscriptions,
        publisher=Publisher(
            store.intake,
            catalogue,
            clock,
            metrics,
            strict_types=settings.strict_types,
            fanout_inline_max=settings.fanout_inline_max,
        ),
        deliveries=Deliveries(store.archive, store.intake, store.queue, catalogue, clock),
        dispatcher=dispatcher,
        sender=sender,
        fan_out=FanOutExpander(store.intake, catalogue, clock, dispatcher.notice),
        stream=await stack.enter_async_context(open_broadcaster(store.feed, clock, _stream_limits(settings))),
        tickets=TicketOffice(MemoryTickets(clock), clock),
        tasks=TaskRunner(store.tasks, clock),
        housekeeping=Housekeeping(settings, store.upkeep, clock, dispatcher.sweep),
    )


def _stream_limits(settings: Settings) -> Limits:
    return Limits(
        max_listeners=settings.stream_max_listeners,
        buffer=settings.stream_buffer,
        heartbeat=settings.stream_heartbeat,
        max_age=settings.stream_max_age,
    )


def _show_gauges(hub: Hub) -> None:
    lanes, watch = hub.dispatcher.lanes, hub.metrics.watch
    watch("attempts_in_flight", "Attempts under way.", lambda: lanes.in_flight)
    watch("lanes", "Subscriptions with work or trouble.", lambda: sum(1 for _ in lanes))
    watch("lanes_resting", "Lanes with an open breaker.", lambda: sum(not lane.breaker.closed for lane in lanes))
    watch("stream_listeners", "Live listeners.", lambda: hub.stream.listeners)
    watch("stream_overflows", "Listeners ended because they fell behind.", lambda: hub.stream.overflows)


async def _open_channels(stack: AsyncExitStack, settings: Settings) -> Mapping[str, Channel[Any]]:
    """One instance of each channel, over one shared HTTP client."""
    http = await stack.enter_async_context(open_client(settings.allow_private_targets))
    tools = Tools(http, settings.data_dir, settings.channel_options)
    try:
        channels = {kind: channel(tools) for kind, channel in load_channels().items()}
    except (ValueError, RuntimeError) as wrong:
        raise HubError(f"A channel cannot be set up: {wrong}") from wrong
    for channel in channels.values():
        stack.push_async_callback(channel.aclose)
    return channels


async def _start(stack: AsyncExitStack, hub: Hub) -> None:
    """Pick up what an earlier process left, and set the workers going."""
    await hub.tasks.recover()
    await hub.dispatcher.sweep(everyones=True)
    stack.push_async_callback(hub.tasks.stop)
    _employ(stack, "fan-out", hub.fan_out.run, hub.clock)
    _employ(stack, "dispatcher", hub.dispatcher.run, hub.clock)
    stack.push_async_callback(hub.dispatcher.stop, hub.settings.shutdown_grace)
    hub.housekeeping.start()
    stack.push_async_callback(hub.housekeeping.stop, hub.settings.shutdown_grace)


def _employ(stack: AsyncExitStack, name: str, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Keep a worker running, through errors nobody foresaw, until the stack unwinds."""

    async def run() -> None:
        while True:
            try:
                return await work()
            except Exception:  # noqa: BLE001 - what nobody foresaw must not end the work
                _log.exception("worker failed and starts again", worker=name)
                await clock.sleep(WORKER_RESTART_SECONDS)

    async def dismiss() -> None:
        running.cancel()
        await asyncio.wait([running])

    running = asyncio.create_task(run(), name=name)
    stack.push_async_callback(dismiss)


def _secret(given: SecretStr | None, path: Path) -> str:
    """The operator's own secret, or one that is made at the first start and kept, readable by the owner only."""
    if given is not None:
        return given.get_secret_value()
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    return path.read_text().strip()


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "tmp").mkdir(mode=0o700, exist_ok=True)
