"""The services that requests use, made in every process with the role `web`."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from hub.catalogue.event_types.service import EventTypes
from hub.catalogue.keys.service import Keyring
from hub.catalogue.matching import Matcher
from hub.catalogue.sources.service import Sources
from hub.catalogue.subscriptions.service import Subscriptions
from hub.clock import Clock
from hub.cluster.operator_secrets import admin_key
from hub.dispatch import Sender
from hub.dispatch.channel_checks import ChannelCheck, check_channels
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.events import Events
from hub.dispatch.search import Search
from hub.dispatch.shared_holds import SharedHolds
from hub.maintenance.housekeeping import Housekeeping
from hub.maintenance.secret_rotation import SecretRotation
from hub.publishing.publisher import Publisher
from hub.runtime.background import run_in_background
from hub.runtime.core import Core
from hub.settings import Settings
from hub.stream import Broadcaster, KnownTypes, Limits, StreamTickets, open_broadcaster
from hub.tasks import TaskRunner
from hub.telemetry.loop_lag import LoopLag


@dataclass(frozen=True, slots=True)
class Services:
    """What a route may use. There is no store among it: each service reads, writes and notifies by itself (see
    docs/decisions/0012 and docs/decisions/0014).

    A route takes it as `services: CurrentServices` (`hub.api.access`).
    """

    settings: Settings
    clock: Clock
    keys: Keyring
    event_types: EventTypes
    subscriptions: Subscriptions
    sources: Sources
    publisher: Publisher
    events: Events
    deliveries: Deliveries
    search: Search
    sender: Sender
    shared_holds: SharedHolds
    check_channels: Callable[[], Awaitable[Sequence[ChannelCheck]]]
    stream: Broadcaster
    tickets: StreamTickets
    known_types: KnownTypes
    tasks: TaskRunner
    loop_lag: LoopLag
    rotation: SecretRotation
    housekeeping: Housekeeping

    async def ensure_defaults(self) -> None:
        """Create what every hub has, where it is missing: the default tenant."""
        await self.keys.ensure_default_tenant()


async def open_services(stack: AsyncExitStack, core: Core, housekeeping: Housekeeping) -> Services:
    """Make the services and start what runs in the background for them; the stack ends it.

    Raises `HubError` when this process has another admin key than the hub.
    """
    key = await admin_key(core.settings, core.catalogue, shared=core.store.shared)
    services = _services(core, Keyring(core.catalogue, core.clock, key), await _open_stream(stack, core), housekeeping)
    await services.ensure_defaults()
    run_in_background(stack, "tickets", services.tickets.renew, core.clock)
    run_in_background(stack, "tasks", services.tasks.watch, core.clock)
    run_in_background(stack, "secrets", core.rotation.resume, core.clock)
    # Called before `watch` is cancelled and before the store is closed, so that every task can save how it ended.
    stack.push_async_callback(services.tasks.stop)
    return services


def _services(core: Core, keys: Keyring, stream: Broadcaster, housekeeping: Housekeeping) -> Services:
    settings, store, clock, catalogue = core.settings, core.store, core.clock, core.catalogue
    event_types, events, notify = (
        EventTypes(catalogue, clock, core.compute),
        Events(store.archive),
        core.notifier.notify,
    )
    deliveries = Deliveries(
        events,
        store.archive,
        store.intake,
        store.queue,
        core.changes,
        catalogue,
        core.sender.holds,
        clock,
        notify,
        core.metrics,
        Matcher(core.compute),
    )
    return Services(
        settings=settings,
        clock=clock,
        keys=keys,
        event_types=event_types,
        subscriptions=core.subscriptions,
        sources=core.sources,
        publisher=_publisher(core),
        events=events,
        deliveries=deliveries,
        search=Search(events, deliveries, event_types, clock),
        sender=core.sender,
        shared_holds=core.shared_holds,
        check_channels=partial(check_channels, core.channels, catalogue),
        stream=stream,
        tickets=StreamTickets(store.tickets, keys, clock),
        known_types=KnownTypes(event_types, catalogue, strict=settings.strict_types),
        tasks=TaskRunner(store.tasks, clock, core.id),
        loop_lag=core.loop_lag,
        rotation=core.rotation,
        housekeeping=housekeeping,
    )


def _publisher(core: Core) -> Publisher:
    return Publisher(
        core.store.intake,
        core.catalogue,
        core.clock,
        core.metrics,
        core.notifier.notify,
        core.compute,
        strict_types=core.settings.strict_types,
        fanout_inline_max=core.settings.fanout_inline_max,
    )


async def _open_stream(stack: AsyncExitStack, core: Core) -> Broadcaster:
    settings = core.settings
    limits = Limits(
        max_listeners=settings.stream_max_listeners,
        buffer=settings.stream_buffer,
        heartbeat=settings.stream_heartbeat,
        max_age=settings.stream_max_age,
    )
    stream = await stack.enter_async_context(
        open_broadcaster(core.store.feed, core.clock, limits, core.catalogue.subscription_name, core.memory)
    )
    core.metrics.watch("stream_listeners", "Live listeners.", lambda: stream.listeners)
    core.metrics.watch_total("stream_overflows", "Listeners that fell behind.", lambda: stream.overflows)
    return stream
