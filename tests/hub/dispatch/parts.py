"""The parts of a dispatcher, each to be tested without the others: over a real store, with a scripted channel."""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from channels.base import Channel, Message, Receipt, TargetModel
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.keys.model import Principal
from hub.catalogue.matching import Matcher
from hub.catalogue.sealing import Sealer
from hub.catalogue.subscriptions import Subscription, SubscriptionCodec, SubscriptionSpec
from hub.catalogue.subscriptions.service import Subscriptions
from hub.compute import ComputePool
from hub.dispatch.attempting import Attempter
from hub.dispatch.change_runner import ChangeRunner
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.events import Events
from hub.dispatch.recording import Recorder
from hub.dispatch.sender import Sender
from hub.dispatch.store_backoff import StoreBackoff
from hub.models import Delivery, Event, Scope
from hub.rendering import Renderer
from hub.stores.base import UNBOUNDED, Claim, LanePolicy, Notify, Store
from hub.telemetry.metrics import Metrics
from hub.telemetry.tracing import Tracing
from hub.testing.clock import ManualClock
from hub.testing.stores import samples

TENANT = samples.TENANT
OPERATOR = Principal("key_1", TENANT, frozenset({Scope.ADMIN}))
Behaviour = Callable[[Message], Awaitable[Receipt]]


class ScriptedChannel(Channel[TargetModel]):
    kind = "scripted"
    Target = TargetModel

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.missing: str | None = None
        """Why it can send nothing."""

    def unavailable(self, target: TargetModel) -> str | None:
        return self.missing

    async def send(self, message: Message, target: TargetModel) -> Receipt:
        return await self.behaviour(message)


async def take(message: Message) -> Receipt:
    return Receipt(200)


@dataclass
class Parts:
    """`notified` and `ended` are what the lanes are told."""

    store: Store
    clock: ManualClock
    channel: ScriptedChannel
    catalogue: Catalogue
    subscriptions: Subscriptions
    backoff: StoreBackoff
    recorder: Recorder
    sender: Sender
    attempter: Attempter
    notified: list[tuple[str, datetime | None]]
    ended: list[str]
    metrics: Metrics

    @property
    def counted(self) -> dict[str, float]:
        """How many deliveries of each status are counted as ended."""
        text = self.metrics.render()[0].decode()
        found = re.findall(r'^hub_deliveries_total\{.*status="(\w+)"\} (\S+)$', text, re.MULTILINE)
        return {status: float(count) for status, count in found}

    async def subscribe(self, **members: Any) -> Subscription:
        spec = {"name": "all", "event_types": ("*",), "channel": "scripted", "target": {}, **members}
        made = await self.subscriptions.create(OPERATOR, SubscriptionSpec.model_validate(spec))
        known = self.catalogue.subscription(made.id)
        assert known is not None
        return known

    async def claim(self, subscription_id: str, **event: Any) -> Claim:
        """The claim of a new event's delivery to this subscription."""
        new = samples.event(**event)
        batch = samples.batch(samples.entry(new, [subscription_id]), catalogue_version=self.catalogue.version)
        await self.store.intake.accept(batch)
        (claim,) = await self.claims(subscription_id)
        return claim

    async def claims(self, subscription_id: str) -> Sequence[Claim]:
        """What is due of a subscription."""
        known = self.catalogue.subscription(subscription_id)
        policy = LanePolicy(address=known.address) if known else UNBOUNDED
        return await samples.claim(self.store, subscription_id, policy=policy)

    async def delivery(self, claim: Claim) -> Delivery:
        delivery = await self.store.archive.delivery(TENANT, claim.delivery.id)
        assert delivery is not None
        return delivery

    async def outcomes(self, claim: Claim) -> Sequence[str]:
        return [attempt.outcome for attempt in await self.store.archive.attempts(TENANT, claim.delivery.id)]

    async def cancel(self, event: Event) -> None:
        await self.store.intake.cancel(TENANT, event.id, self.clock.now())


def make_parts(store: Store, clock: ManualClock) -> Parts:
    channel, compute = ScriptedChannel(take), ComputePool()
    renderer = Renderer({"scripted": ScriptedChannel})
    codec = SubscriptionCodec({"scripted": channel}, renderer, Sealer("a secret of these tests"))
    catalogue = Catalogue(store.records, codec.decode)
    subscriptions = Subscriptions(catalogue, codec, clock, compute)
    backoff = StoreBackoff(clock)
    notified: list[tuple[str, datetime | None]] = []
    ended: list[str] = []
    metrics = Metrics()
    recorder = Recorder(
        store.queue,
        catalogue,
        subscriptions,
        clock,
        metrics,
        Random(1),
        backoff,
        notify=lambda lane, due_at: notified.append((lane, due_at)),
    )
    sender = Sender({"scripted": channel}, renderer, Tracing(""), compute)
    attempter = Attempter(
        sender,
        catalogue,
        clock,
        recorder,
        on_end=lambda lane, seconds: ended.append(lane),
        timeout=5.0,
        failpoint=lambda name: None,
        time_of_day=clock.now,
    )
    return Parts(
        store, clock, channel, catalogue, subscriptions, backoff, recorder, sender, attempter, notified, ended, metrics
    )


def deliveries_service(parts: Parts, events: Events, notify: Notify) -> Deliveries:
    """The service for people over these parts."""
    store = parts.store
    ports = store.archive, store.queue, store.changes
    changes = ChangeRunner(*ports, parts.clock, notify, parts.metrics, parts.catalogue.existing, alone=True)
    return Deliveries(
        events,
        store.archive,
        store.intake,
        store.queue,
        changes,
        parts.catalogue,
        parts.sender.holds,
        parts.clock,
        notify,
        parts.metrics,
        Matcher(ComputePool()),
    )


@contextmanager
def outage(store: Store) -> Iterator[None]:
    """The store writes nothing."""
    backlog = store.queue._writer._backlog  # type: ignore[attr-defined] # internals
    backlog._closing = True
    try:
        yield
    finally:
        backlog._closing = False
