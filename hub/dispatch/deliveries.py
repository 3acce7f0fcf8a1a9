"""Deliveries for people: read, cancel, replay, and explain why a subscription did or did not get an event."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import orjson

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.matching import Matcher
from hub.catalogue.patterns import matches
from hub.catalogue.subscriptions import Subscription
from hub.clock import Clock
from hub.compute import Budget, OverBudget
from hub.dispatch.change_runner import CANCELLED, ChangeRunner
from hub.dispatch.events import Events
from hub.dispatch.health import Health, health_of
from hub.dispatch.holds import Holds
from hub.dispatch.transitions import cancel, replay
from hub.errors import Conflict, Fault, Invalid, NotFound
from hub.instants import instant_text
from hub.models import Attempt, Delivery, Event, Status
from hub.stores.base import (
    Archive,
    DeliveryQuery,
    Intake,
    Listing,
    Notify,
    Page,
    Queue,
    Result,
    Signal,
    Stats,
    WriteOutcome,
)
from hub.telemetry.metrics import Metrics

PAGE = 200
EXPLAIN_SECONDS = 2.0
"""Processor time in which the filters of all subscriptions must be tried."""
_BUSY = "The delivery is being sent right now; try again in a moment."
_DELETED = "The subscription is deleted, so there is nowhere to send it; publish the event again instead."
Explained = Literal["matched", "filtered", "disabled", "held", "no_match", "expired"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of an event for one subscription, and why."""

    subscription_id: str
    subscription_name: str | None
    """None once the subscription is deleted."""
    channel: str
    outcome: Explained
    reason: str


class Deliveries:
    """Reads and changes deliveries. Those that are pending are shown as `held` while their subscription is disabled, or
    its channel can send nothing.

    `held` is not stored, so that disabling a subscription costs the same however much waits for it; see
    docs/decisions/0005.

    Example:

        for explanation in await deliveries.explain("default", event.id):
            print(explanation.subscription_name, explanation.outcome, explanation.reason)
        replayed = await deliveries.replay_event("default", event.id, None)
    """

    def __init__(
        self,
        events: Events,
        archive: Archive,
        intake: Intake,
        queue: Queue,
        changes: ChangeRunner,
        catalogue: Catalogue,
        holds: Holds,
        clock: Clock,
        notify: Notify,
        metrics: Metrics,
        matcher: Matcher,
    ) -> None:
        self._events = events
        self._archive = archive
        self._intake = intake
        self._queue = queue
        self._changes = changes
        self._catalogue = catalogue
        self._holds = holds
        self._clock = clock
        self._notify = notify
        self._metrics = metrics
        self._matcher = matcher

    # -- reading -----------------------------------------------------------------------------------------------------

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery:
        """Raises `NotFound`."""
        delivery = await self._archive.delivery(tenant, delivery_id)
        if delivery is None:
            raise NotFound("There is no such delivery.")
        return self._as_shown(delivery)

    async def listing(self, tenant: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]:
        if query.status is Status.PENDING:
            query = replace(query, not_subscription_ids=self._held(tenant))
        elif query.status is Status.HELD:
            asked = query.subscription_ids
            held = self._held(tenant)
            held = held if asked is None else held & asked
            query = replace(query, status=Status.PENDING, subscription_ids=held)
        found = await self._archive.deliveries(tenant, query, page)
        return replace(found, items=tuple(map(self._as_shown, found.items)))

    async def attempts(self, tenant: str, delivery_id: str) -> Sequence[Attempt]:
        """Every attempt of a delivery, by number; none for an unknown delivery."""
        return await self._archive.attempts(tenant, delivery_id)

    async def counts(self, tenant: str, query: DeliveryQuery) -> Mapping[Status, int]:
        """How many deliveries there are in each status."""
        # Counted for each subscription, because a store does not know which of them are held.
        held = self._held(tenant)
        total: dict[Status, int] = {}
        for subscription_id, counted in (await self._archive.counts(tenant, query)).items():
            for status, number in counted.items():
                shown = Status.HELD if status is Status.PENDING and subscription_id in held else status
                total[shown] = total.get(shown, 0) + number
        return total

    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats:
        """What happened since an instant: on one channel, or on all of them."""
        return await self._archive.stats(tenant, since, channel)

    async def health(self, subscription: Subscription) -> Health:
        """How healthy the target of a subscription is, as all processes together see it."""
        lanes = await self._queue.health({subscription.id})
        return health_of(subscription, lanes.get(subscription.id))

    def _held(self, tenant: str) -> frozenset[str]:
        return self._holds.held(self._catalogue.subscriptions(tenant).values())

    def _as_shown(self, delivery: Delivery) -> Delivery:
        subscription = self._catalogue.subscription(delivery.subscription_id)
        if delivery.status is not Status.PENDING or subscription is None:
            return delivery
        reason = self._holds.reason(subscription)
        return delivery if reason is None else delivery.model_copy(update={"status": Status.HELD, "reason": reason})

    async def explain(self, tenant: str, event_id: str) -> list[Explanation]:
        """What became of the event for each subscription of the tenant, and why; in the order of subscription ids."""
        event = await self._events.find(tenant, event_id)
        made = {delivery.subscription_id: delivery async for delivery in self._of_event(event)}
        subscriptions = self._catalogue.subscriptions(tenant)
        open_ = [s for s in self._catalogue.subscribed(tenant, event.type) if s.id not in made]
        try:
            budget = Budget(EXPLAIN_SECONDS)
            mismatches = await self._matcher.mismatches(open_, event, orjson.loads(event.data), budget)
        except OverBudget:
            raise Invalid(f"This takes more than {EXPLAIN_SECONDS:g} s of processor time to be explained.") from None
        known = [
            Explanation(s.id, s.spec.name, s.spec.channel, *_explain(event, mismatches.get(s.id), s, made.get(s.id)))
            for s in subscriptions.values()
        ]
        gone = [
            Explanation(d.subscription_id, None, d.channel, *_explain_made(d))
            for d in made.values()
            if d.subscription_id not in subscriptions
        ]
        return sorted([*known, *gone], key=lambda explanation: explanation.subscription_id)

    # -- changing ----------------------------------------------------------------------------------------------------

    async def cancel_event(self, tenant: str, event_id: str) -> int:
        """Cancel the deliveries of an event that have not been sent; gives how many these were.

        Attempts under way are not interrupted, and not repeated when they fail. Raises `NotFound`.
        """
        event = await self._events.find(tenant, event_id)
        # The event first: from here on no attempt can put its delivery back to wait, and nothing more is made of it.
        await self._intake.cancel(tenant, event_id, self._clock.now())
        return await self._changes.cancel(event)

    async def cancel(self, tenant: str, delivery_id: str) -> Delivery:
        """Cancel a delivery. Raises `Conflict` when it is being sent or has ended, and `NotFound`."""
        delivery = await self.delivery(tenant, delivery_id)
        if delivery.status is Status.SENDING:
            raise Conflict(_BUSY, retry_after=1)
        if delivery.status not in (Status.PENDING, Status.HELD):
            raise Conflict(f"The delivery is already {delivery.status}: there is nothing to cancel.")
        cancelled = await self._write(cancel(delivery, "cancelled on request", self._clock.now()))
        self._metrics.ended(cancelled.channel, cancelled.status)
        return cancelled

    async def replay(self, tenant: str, delivery_id: str) -> Delivery:
        """Send a delivery again, at once.

        Raises `Conflict` when it is being sent, when its subscription is deleted, or when its event was cancelled or
        has expired, and `NotFound`.
        """
        delivery = await self.delivery(tenant, delivery_id)
        if delivery.status is Status.SENDING:
            raise Conflict(_BUSY, retry_after=1)
        if not await self._catalogue.existing([delivery.subscription_id]):
            raise Conflict(_DELETED)
        await self._refuse_cancelled(tenant, delivery.event_id)
        # Fenced by the token that was read: of two people who replay it at the same time, one gets the conflict.
        replayed = await self._write(replay(delivery, self._clock.now()))
        self._notify(Signal({delivery.lane: None}))
        return replayed

    async def replay_event(self, tenant: str, event_id: str, subscription_ids: Sequence[str] | None) -> list[Delivery]:
        """Send an event again to all of the subscriptions that it was meant for, or to these; gives their deliveries.

        Deliveries that are still to be sent stay as they are, and so do those of subscriptions that are deleted. Raises
        `Conflict` when all of its subscriptions or one of these are, and when the event was cancelled or has expired,
        `Invalid` for a subscription that has no delivery of the event, and `NotFound`.
        """
        event = await self._refuse_cancelled(tenant, event_id)
        if subscription_ids is not None:
            made = await self._meant_for(event, subscription_ids)
            for index, subscription_id in enumerate(subscription_ids):
                if subscription_id not in made:
                    fault = Fault("has no delivery of this event", f"/subscription_ids/{index}")
                    raise Invalid("The event was not meant for one of these subscriptions.", errors=[fault])
            if await self._catalogue.existing(made) != made:
                raise Conflict(_DELETED)
        replayed = await self._changes.replay(event, subscription_ids)
        if not replayed and (made := await self._meant_for(event)) and not await self._catalogue.existing(made):
            raise Conflict(_DELETED)
        return replayed

    async def _meant_for(self, event: Event, only: Sequence[str] | None = None) -> frozenset[str]:
        """The subscriptions that the event has deliveries for."""
        asked = None if only is None else frozenset(only)
        return frozenset([delivery.subscription_id async for delivery in self._of_event(event, asked)])

    async def _refuse_cancelled(self, tenant: str, event_id: str) -> Event:
        event = await self._events.find(tenant, event_id)
        if event.cancelled_at is not None:
            raise Conflict(CANCELLED)
        if event.expires_at is not None and event.expires_at <= self._clock.now():
            raise Conflict("The event has expired; publish it again instead.")
        return event

    async def _write(self, result: Result) -> Delivery:
        (written,) = await self._queue.finish([result])
        if written is WriteOutcome.EVENT_CANCELLED:
            raise Conflict(CANCELLED)
        if written is WriteOutcome.FENCED:
            raise Conflict("The delivery changed in the meantime; read it again before you repeat this.", retry_after=1)
        return self._as_shown(result.delivery)

    async def _of_event(self, event: Event, only: frozenset[str] | None = None) -> AsyncIterator[Delivery]:
        page, query = Page(PAGE), DeliveryQuery(event_id=event.id, subscription_ids=only)
        while True:
            found = await self._archive.deliveries(event.tenant, query, page)
            for delivery in found.items:
                yield self._as_shown(delivery)
            if found.next_cursor is None:
                return
            page = Page(PAGE, found.next_cursor)


def _explain(
    event: Event, mismatch: str | None, subscription: Subscription, delivery: Delivery | None
) -> tuple[Explained, str]:
    if delivery is not None:
        return _explain_made(delivery)
    if subscription.unread is not None:
        return "held", f"the subscription {subscription.unread}"
    if not any(matches(pattern, event.type) for pattern in subscription.patterns):
        return "no_match", f"no pattern matches the type {event.type}"
    if subscription.created_at > event.accepted_at:
        return "no_match", "the subscription was created after the event was accepted"
    if mismatch is not None:
        return "filtered", mismatch
    if not subscription.spec.enabled:
        return "disabled", f"the subscription is disabled: {subscription.disabled_reason}"
    # Only the present form of a subscription is kept, so what a changed one would have done then is not known. An
    # unchanged one that matches and has no delivery is being served by the fan-out.
    changed = subscription.updated_at > event.accepted_at
    why = "the subscription was changed after the event was accepted" if changed else "its delivery is being created"
    return "no_match" if changed else "matched", why


def _explain_made(delivery: Delivery) -> tuple[Explained, str]:
    reason = f"the delivery {delivery.id} is {delivery.status}"
    if delivery.reason:
        reason = f"{reason}: {delivery.reason}"
    if delivery.status is Status.PENDING and delivery.next_attempt_at is not None:
        reason = f"{reason}; its next attempt is due at {instant_text(delivery.next_attempt_at)}"
    if delivery.status is Status.HELD:
        return "held", reason
    # Every reason that `transitions` gives for an expiry begins with this word.
    if delivery.status is Status.DEAD and (delivery.reason or "").startswith("expired"):
        return "expired", reason
    return "matched", reason
