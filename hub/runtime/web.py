"""What a web process has besides: all that requests need."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from hub.catalogue.event_types.service import EventTypes
from hub.catalogue.keys.service import Keyring
from hub.catalogue.subscriptions.service import Subscriptions
from hub.clock import Clock
from hub.cluster.operator_secrets import fingerprint, first_fingerprint, kept_secret
from hub.dispatch import Sender
from hub.dispatch.deliveries import Deliveries
from hub.errors import HubError
from hub.maintenance.housekeeping import Housekeeping
from hub.publishing.publisher import Published, Publisher
from hub.runtime.background import run_in_background
from hub.runtime.core import Core
from hub.settings import Settings
from hub.stores.base import Signal, Store
from hub.stream import Broadcaster, Limits, StreamTickets, open_broadcaster
from hub.tasks import TaskRunner
from hub.telemetry.metrics import Metrics

_ANOTHER_KEY = (
    "Another machine made the admin key of this hub: set HUB_ADMIN_KEY, to the same in every web process (the present"
    " one is in that machine's data directory, in admin.key)."
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """The hub as requests see it."""

    settings: Settings
    clock: Clock
    store: Store
    metrics: Metrics
    keys: Keyring
    event_types: EventTypes
    subscriptions: Subscriptions
    publisher: Publisher
    deliveries: Deliveries
    sender: Sender
    stream: Broadcaster
    tickets: StreamTickets
    tasks: TaskRunner
    housekeeping: Housekeeping
    tell: Callable[[Signal], None]
    """Tells whoever delivers in this very process that there is work; other processes hear of it from the store."""

    async def work_arrived(self, published: Published) -> None:
        """Wake those who deliver. All that a request leaves to do after its answer."""
        self.tell(Signal(published.due, published.fans_out))

    async def found(self) -> None:
        """Make what every hub has, where it is missing."""
        await self.keys.ensure_default_tenant()


async def open_web(
    stack: AsyncExitStack, core: Core, housekeeping: Housekeeping, tell: Callable[[Signal], None]
) -> Services:
    """Raises `HubError` where the admin key is not the hub's."""
    settings, store, clock, catalogue = core.settings, core.store, core.clock, core.catalogue
    keys = Keyring(catalogue, clock, await _admin_key(core))
    services = Services(
        settings=settings,
        clock=clock,
        store=store,
        metrics=core.metrics,
        keys=keys,
        event_types=EventTypes(catalogue, clock),
        subscriptions=core.subscriptions,
        publisher=Publisher(
            store.intake,
            catalogue,
            clock,
            core.metrics,
            strict_types=settings.strict_types,
            fanout_inline_max=settings.fanout_inline_max,
        ),
        deliveries=Deliveries(store.archive, store.intake, store.queue, catalogue, clock),
        sender=core.sender,
        stream=await stack.enter_async_context(open_broadcaster(store.feed, clock, _limits(settings))),
        tickets=StreamTickets(store.tickets, clock),
        tasks=TaskRunner(store.tasks, clock, core.id),
        housekeeping=housekeeping,
        tell=tell,
    )
    await services.found()
    core.metrics.watch("stream_listeners", "Live listeners.", lambda: services.stream.listeners)
    core.metrics.watch("stream_overflows", "Listeners that fell behind.", lambda: services.stream.overflows)
    run_in_background(stack, "tasks", services.tasks.watch, clock)
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
    """The operator's key. One that was set is the hub's from now on; one that was generated must be the hub's."""
    given = core.settings.admin_key
    key = kept_secret(given, core.settings.data_dir / "admin.key")
    if core.store.shared:
        kept = core.catalogue.fingerprints.get("admin_key")
        if given is not None and kept not in (None, fingerprint(key)):
            _log.warning("the admin key is another than before; give every web process the same HUB_ADMIN_KEY")
        if await first_fingerprint(core.catalogue, "admin_key", key, replace=given is not None) != fingerprint(key):
            raise HubError(_ANOTHER_KEY)
    return key
