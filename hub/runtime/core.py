"""What every process of a hub has, in every role: the store, the catalogue, the channels, and the notifier."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import structlog

from channels.base import Channel, ChannelContext
from channels.discovery import load_channels
from channels.http import open_client
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.sealing import Sealer, fingerprint
from hub.catalogue.sources.service import Sources
from hub.catalogue.subscriptions import SubscriptionCodec
from hub.catalogue.subscriptions.service import Subscriptions
from hub.catalogue.subscriptions.unreadable import UnreadableTarget
from hub.clock import Clock
from hub.cluster.notifier import Notifier
from hub.cluster.operator_secrets import SEALING_KEY, first_fingerprint, secret_keys
from hub.cluster.roles import EVERY_ROLE, Role
from hub.dispatch import Sender
from hub.dispatch.channel_checks import ChannelCheck, check_channels
from hub.errors import HubError
from hub.failpoints import Failpoint, failpoints
from hub.maintenance.clock_watch import ClockWatch
from hub.maintenance.copy import refuse_half_copied
from hub.maintenance.secret_rotation import SecretRotation
from hub.rendering import Renderer
from hub.settings import Settings, unknown_settings
from hub.stores import StoreOptions, open_store
from hub.stores.base import Store
from hub.telemetry.metrics import Metrics
from hub.telemetry.tracing import Tracing

_log = structlog.get_logger(__name__)
_SEALED_OTHERWISE = (
    "The secrets in this store are sealed with another HUB_SECRET_KEY. Give every process of a hub the same one. If you"
    " never set one, the first start made it: it is in the file secret.key in the data directory. If it is lost for"
    " good, `hub secrets adopt` lets the hub start without what was sealed with it."
)


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
    channels: Mapping[str, Channel[Any]]
    rotation: SecretRotation
    failpoint: Failpoint
    notifier: Notifier
    clock_watch: ClockWatch


async def open_core(
    stack: AsyncExitStack, settings: Settings, roles: Collection[Role], tracing: Tracing, clock: Clock
) -> Core:
    """Open the parts that every role needs; the stack closes them.

    Raises `HubError` when the store, a stored secret or a channel cannot be used; its text says what to do.
    """
    _make_private(settings)
    failpoint = failpoints(settings.failpoints)
    options = StoreOptions(
        failpoint,
        settings.redis_wait_replicas,
        settings.redis_wait_timeout,
        shared=frozenset(roles) != EVERY_ROLE,
    )
    store = await stack.enter_async_context(open_store(settings.store_url, clock, options))
    # Before anything is written: a store that is being copied must stay as it is.
    await refuse_half_copied(store)
    clock_watch = ClockWatch(clock, store.clock)
    if Role.SCHEDULER in roles:
        # Before anything is judged by its age.
        await clock_watch.look()
    channels = await _open_channels(stack, settings)
    _report_unknown(channels)
    renderer = Renderer({kind: type(channel) for kind, channel in channels.items()})
    secrets = secret_keys(settings)
    sealer = Sealer(*secrets, active=lambda: catalogue.fingerprints.get(SEALING_KEY))
    codec = SubscriptionCodec(channels, renderer, sealer)
    catalogue = Catalogue(store.records, codec.decode)
    await catalogue.refresh()
    await _refuse_other_secret(catalogue, secrets)
    sources = Sources(catalogue, sealer, clock)
    return Core(
        id=token_hex(8),
        roles=frozenset(roles),
        settings=settings,
        clock=clock,
        store=store,
        metrics=Metrics(channels),
        catalogue=catalogue,
        subscriptions=Subscriptions(catalogue, codec, clock),
        sources=sources,
        sender=Sender(channels, renderer, tracing, sandbox=settings.sandbox),
        channels=channels,
        rotation=SecretRotation(settings, catalogue, codec, sources, sealer, failpoint, alone=not store.shared),
        failpoint=failpoint,
        notifier=Notifier(),
        clock_watch=clock_watch,
    )


async def _refuse_other_secret(catalogue: Catalogue, secrets: Sequence[str]) -> None:
    """Raises `HubError` for a process without the key of the hub: what it sealed could be read by no other."""
    first_start = SEALING_KEY not in catalogue.fingerprints
    unreadable = any(isinstance(one.target, UnreadableTarget) for one in catalogue.every_subscription())
    # A store of before fingerprints were kept has none, and its subscriptions tell.
    if first_start and unreadable:
        raise HubError(_SEALED_OTHERWISE)
    if await first_fingerprint(catalogue, SEALING_KEY, secrets[0]) not in map(fingerprint, secrets):
        raise HubError(_SEALED_OTHERWISE)
    if unreadable:
        _log.warning("secrets.unreadable", advice="Set the secrets of the subscriptions with `missing_secrets` again.")


async def check_settings(settings: Settings) -> Sequence[ChannelCheck]:
    """What is wrong with the settings of channels, for when no hub runs that could be asked. Raises `HubError`."""
    async with AsyncExitStack() as stack:
        return await check_channels(await _open_channels(stack, settings), None)


async def _open_channels(stack: AsyncExitStack, settings: Settings) -> Mapping[str, Channel[Any]]:
    """One instance of each installed channel, all on one HTTP client."""
    http = await stack.enter_async_context(open_client(settings.allow_private_targets))
    context = ChannelContext(http, settings.data_dir, settings.channel_options)
    try:
        channels = {kind: channel(context) for kind, channel in load_channels().items()}
    except (ValueError, RuntimeError) as wrong:
        raise HubError(f"A channel cannot be set up: {wrong}") from wrong
    for channel in channels.values():
        stack.push_async_callback(channel.aclose)
    return channels


def _report_unknown(channels: Mapping[str, Channel[Any]]) -> None:
    for name, meant in unknown_settings(name for channel in channels.values() for name in channel.option_names):
        _log.warning("setting.unknown", name=name, did_you_mean=meant)


def _make_private(settings: Settings) -> None:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (settings.data_dir / "tmp").mkdir(mode=0o700, exist_ok=True)
