"""What every process of a hub has, in every role: the store, the catalogue, the channels, and the notifier."""

from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from channels.base import Channel
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.sealing import Sealer
from hub.catalogue.sources.service import Sources
from hub.catalogue.subscriptions import SubscriptionCodec
from hub.catalogue.subscriptions.service import Subscriptions
from hub.clock import Clock
from hub.cluster.notifier import Notifier
from hub.cluster.operator_secrets import SEALING_KEY, refuse_other_secret, secret_keys
from hub.cluster.roles import EVERY_ROLE, Role
from hub.compute import ComputePool, Threads
from hub.dispatch import Sender
from hub.dispatch.change_runner import ChangeRunner
from hub.dispatch.shared_holds import SharedHolds
from hub.failpoints import Failpoint, failpoints
from hub.maintenance.clock_watch import ClockWatch
from hub.maintenance.copy import refuse_half_copied
from hub.maintenance.secret_rotation import SecretRotation
from hub.rendering import Renderer
from hub.runtime.channels import open_channels, report_unknown
from hub.settings import Settings
from hub.shares import MemoryBudget
from hub.stores import StoreOptions, open_store
from hub.stores.base import Store
from hub.stores.unreadable import Unreadable
from hub.telemetry.loop_lag import LoopLag
from hub.telemetry.metrics import Metrics
from hub.telemetry.tracing import Tracing

THREADS = {"channels": 32, "cleanup": 1}
"""For what calls that block are made, and how many of each at once. None of them waits for those of another."""


@dataclass(frozen=True, slots=True)
class Core:
    """The parts from which every role is built."""

    id: str
    """Names this process, from its start to its end, in its leases and tasks."""
    roles: frozenset[Role]
    settings: Settings
    clock: Clock
    store: Store
    metrics: Metrics
    catalogue: Catalogue
    subscriptions: Subscriptions
    sources: Sources
    sender: Sender
    shared_holds: SharedHolds
    channels: Mapping[str, Channel[Any]]
    rotation: SecretRotation
    failpoint: Failpoint
    notifier: Notifier
    memory: MemoryBudget
    changes: ChangeRunner
    clock_watch: ClockWatch
    compute: ComputePool
    loop_lag: LoopLag
    threads: Mapping[str, Threads]
    """By what they are for; see `THREADS`."""


async def open_core(
    stack: AsyncExitStack, settings: Settings, roles: Collection[Role], tracing: Tracing, clock: Clock
) -> Core:
    """Open the parts that every role needs; the stack closes them.

    Raises `HubError` when the store, a stored secret or a channel cannot be used; its text says what to do.
    """
    _make_private(settings)
    failpoint = failpoints(settings.failpoints)
    compute = await stack.enter_async_context(ComputePool())
    unreadable = Unreadable()
    store = await _open_store(stack, settings, roles, clock, failpoint, unreadable)
    threads = {name: Threads(name, size) for name, size in THREADS.items()}
    for some in threads.values():
        stack.callback(some.close)
    channels = await open_channels(stack, settings, threads["channels"].run)
    metrics = Metrics(channels)
    report_unknown(channels)
    renderer = Renderer({kind: type(channel) for kind, channel in channels.items()})
    secrets = secret_keys(settings)
    sealer = Sealer(*secrets, active=lambda: catalogue.fingerprint(SEALING_KEY))
    codec = SubscriptionCodec(channels, renderer, sealer)
    catalogue = Catalogue(store.records, codec.decode, unreadable)
    await catalogue.refresh()
    await refuse_other_secret(catalogue, secrets)
    sources = Sources(catalogue, sealer, clock, unreadable)
    metrics.watch_total("unreadable", "Stored things that this version cannot read.", lambda: unreadable.total)
    clock_watch = ClockWatch(clock, store.clock)
    if Role.SCHEDULER in roles:
        # Before anything is judged by its age.
        await clock_watch.look()
    id_, sender = token_hex(8), Sender(channels, renderer, tracing, compute, sandbox=settings.sandbox)
    notifier, alone = Notifier(), not store.shared
    return Core(
        id=id_,
        roles=frozenset(roles),
        settings=settings,
        clock=clock,
        store=store,
        metrics=metrics,
        catalogue=catalogue,
        subscriptions=Subscriptions(catalogue, codec, clock, compute),
        sources=sources,
        sender=sender,
        shared_holds=SharedHolds(sender.holds, catalogue, store.reports, id_, clock),
        channels=channels,
        rotation=SecretRotation(settings, catalogue, codec, sources, sealer, failpoint, alone=alone),
        failpoint=failpoint,
        notifier=notifier,
        changes=_change_runner(store, catalogue, clock, notifier, metrics, alone=alone),
        clock_watch=clock_watch,
        memory=_memory(settings, metrics),
        compute=compute,
        loop_lag=LoopLag(metrics.lagged),
        threads=threads,
    )


def _change_runner(
    store: Store, catalogue: Catalogue, clock: Clock, notifier: Notifier, metrics: Metrics, *, alone: bool
) -> ChangeRunner:
    ports = store.archive, store.queue, store.changes
    return ChangeRunner(*ports, clock, notifier.notify, metrics, catalogue.existing, alone=alone)


async def _open_store(
    stack: AsyncExitStack,
    settings: Settings,
    roles: Collection[Role],
    clock: Clock,
    failpoint: Failpoint,
    unreadable: Unreadable,
) -> Store:
    options = StoreOptions(
        failpoint,
        settings.redis_wait_replicas,
        settings.redis_wait_timeout,
        shared=frozenset(roles) != EVERY_ROLE,
        unreadable=unreadable,
    )
    store = await stack.enter_async_context(open_store(settings.store_url, clock, options))
    # Before anything is written: a store that is being copied must stay as it is.
    await refuse_half_copied(store)
    return store


def _memory(settings: Settings, metrics: Metrics) -> MemoryBudget:
    # A tenant alone gets half of it, and must be able to send a batch while another one is sent.
    memory = MemoryBudget(max(settings.buffer_bytes, 4 * settings.max_batch_bytes))
    metrics.watch("buffered_bytes", "Bodies, answers and entries of the stream in memory.", lambda: memory.held)
    metrics.watch_total("buffer_refusals", "What found no room in memory.", lambda: memory.refusals)
    return memory


def _make_private(settings: Settings) -> None:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (settings.data_dir / "tmp").mkdir(mode=0o700, exist_ok=True)
