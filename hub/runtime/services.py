"""The services that requests use, made in every process with the role `web`."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from hub.catalogue.event_types.service import EventTypes
from hub.catalogue.keys.service import Keyring
from hub.catalogue.sealing import fingerprint
from hub.catalogue.sources.service import Sources
from hub.catalogue.subscriptions.service import Subscriptions
from hub.clock import Clock
from hub.cluster.operator_secrets import first_fingerprint, kept_secret
from hub.dispatch import Sender
from hub.dispatch.channel_checks import ChannelCheck, check_channels
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.events import Events
from hub.dispatch.search import Search
from hub.errors import HubError
from hub.maintenance.housekeeping import Housekeeping
from hub.maintenance.secret_rotation import SecretRotation
from hub.publishing.publisher import Publisher
from hub.runtime.background import run_in_background
from hub.runtime.core import Core
from hub.settings import Settings
from hub.stream import Broadcaster, KnownTypes, Limits, StreamTickets, open_broadcaster
from hub.tasks import TaskRunner

_NOT_THE_ADMIN_KEY = (
    "Another machine made the admin key of this hub. Set HUB_ADMIN_KEY to the same value in every web process; the"
    " present key is in the file admin.key in that machine's data directory."
)
_log = structlog.get_logger(__name__)


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
    check_channels: Callable[[], Awaitable[Sequence[ChannelCheck]]]
    stream: Broadcaster
    tickets: StreamTickets
    known_types: KnownTypes
    tasks: TaskRunner
    rotation: SecretRotation
    housekeeping: Housekeeping

    async def ensure_defaults(self) -> None:
        """Create what every hub has, where it is missing: the default tenant."""
        await self.keys.ensure_default_tenant()


async def open_services(stack: AsyncExitStack, core: Core, housekeeping: Housekeeping) -> Services:
    """Make the services and start what runs in the background for them; the stack ends it.

    Raises `HubError` when this process has another admin key than the hub.
    """
    settings, store, clock, catalogue = core.settings, core.store, core.clock, core.catalogue
    keys, event_types = Keyring(catalogue, clock, await _admin_key(core)), EventTypes(catalogue, clock)
    events, notify = Events(store.archive), core.notifier.notify
    deliveries = Deliveries(
        events, store.archive, store.intake, store.queue, catalogue, core.sender.holds, clock, notify
    )
    services = Services(
        settings=settings,
        clock=clock,
        keys=keys,
        event_types=event_types,
        subscriptions=core.subscriptions,
        sources=core.sources,
        publisher=Publisher(
            store.intake,
            catalogue,
            clock,
            core.metrics,
            notify,
            strict_types=settings.strict_types,
            fanout_inline_max=settings.fanout_inline_max,
        ),
        events=events,
        deliveries=deliveries,
        search=Search(events, deliveries, event_types, clock),
        sender=core.sender,
        check_channels=partial(check_channels, core.channels, catalogue),
        stream=await stack.enter_async_context(
            open_broadcaster(store.feed, clock, _limits(settings), catalogue.subscription_name)
        ),
        tickets=StreamTickets(store.tickets, keys, clock),
        known_types=KnownTypes(event_types, catalogue, strict=settings.strict_types),
        tasks=TaskRunner(store.tasks, clock, core.id),
        rotation=core.rotation,
        housekeeping=housekeeping,
    )
    await services.ensure_defaults()
    core.metrics.watch("stream_listeners", "Live listeners.", lambda: services.stream.listeners)
    core.metrics.watch_total("stream_overflows", "Listeners that fell behind.", lambda: services.stream.overflows)
    run_in_background(stack, "tickets", services.tickets.renew, clock)
    run_in_background(stack, "tasks", services.tasks.watch, clock)
    run_in_background(stack, "secrets", core.rotation.resume, clock)
    # Called before `watch` is cancelled and before the store is closed, so that every task can save how it ended.
    stack.push_async_callback(services.tasks.stop)
    return services


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_listeners=settings.stream_max_listeners,
        buffer=settings.stream_buffer,
        heartbeat=settings.stream_heartbeat,
        max_age=settings.stream_max_age,
    )


async def _admin_key(core: Core) -> str:
    """The operator's key. A key from the settings becomes the hub's; a generated key must already be the hub's."""
    given = core.settings.admin_key
    key = kept_secret(given, core.settings.data_dir / "admin.key")
    if core.store.shared:
        kept = core.catalogue.fingerprint("admin_key")
        if given is not None and kept not in (None, fingerprint(key)):
            _log.warning("admin_key.changed", advice="Give every web process the same HUB_ADMIN_KEY.")
        if await first_fingerprint(core.catalogue, "admin_key", key, replace=given is not None) != fingerprint(key):
            raise HubError(_NOT_THE_ADMIN_KEY)
    return key
