"""Cancelling and replaying all deliveries of an event, in steps, each of which is one commit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from hub.clock import Clock
from hub.dispatch.transitions import EVENT_CANCELLED, cancel, replay
from hub.errors import Conflict, Unavailable
from hub.ids import new_id
from hub.models import Delivery, Event, Status
from hub.stores.base import (
    Archive,
    ChangeKind,
    DeliveryQuery,
    EventChange,
    EventChanges,
    Notify,
    Page,
    Queue,
    Result,
    Signal,
    WriteOutcome,
)
from hub.telemetry.metrics import Metrics

STEP: Final = 100
"""How many deliveries are changed at a time. Redis needs some ten milliseconds for it, and serves nobody else then."""
RETRY_SECONDS: Final = 1.0
CANCELLED: Final = "The event was cancelled; publish it again instead."
_RESUMED_AT_ONCE: Final = 100
_ENDED: Final = (Status.DELIVERED, Status.DEAD, Status.CANCELLED)


class ChangeRunner:
    """Makes the changes that people ask for. The store keeps how far each is, so that another process, or this one
    after a restart, goes on with it when this one dies. See docs/decisions/0028.

    Example:

        replayed = await runner.replay(event, None)
    """

    def __init__(
        self,
        archive: Archive,
        queue: Queue,
        changes: EventChanges,
        clock: Clock,
        notify: Notify,
        metrics: Metrics,
        existing: Callable[[Iterable[str]], Awaitable[frozenset[str]]],
        *,
        alone: bool,
    ) -> None:
        """`existing` says which subscriptions are not deleted; `alone`, that no other process can have the store
        open."""
        self._archive = archive
        self._queue = queue
        self._changes = changes
        self._clock = clock
        self._notify = notify
        self._metrics = metrics
        self._existing = existing
        self._alone = alone
        self._awake = asyncio.Event()
        self._ours: set[str] = set()
        """What requests of this process are at."""
        self._seen: dict[str, EventChange] = {}
        """How far the changes of others were when this process looked last."""

    async def cancel(self, event: Event) -> int:
        """Cancel what is pending of an event that the store has marked as cancelled; gives how many these were."""
        change = EventChange(event.id, event.tenant, event.id, ChangeKind.CANCEL, self._clock.now())
        return len(await self._make(change))

    async def replay(self, event: Event, subscription_ids: Sequence[str] | None) -> list[Delivery]:
        """Send an event again to all of its subscriptions, or to these, where it has ended; gives those deliveries.

        What was for a deleted subscription stays as it is. Raises `Conflict` when the event is cancelled meanwhile.
        """
        only = None if subscription_ids is None else tuple(subscription_ids)
        kind, now = ChangeKind.REPLAY, self._clock.now()
        return await self._make(EventChange(new_id("chg"), event.tenant, event.id, kind, now, only))

    def wake(self) -> None:
        """Look for changes that nobody is at."""
        self._awake.set()

    async def run(self) -> None:
        """Go on with changes whose processes died, each time that `wake` was called. Runs until it is cancelled."""
        while True:
            try:
                await self.resume()
            except Unavailable as error:
                await self._clock.sleep(error.retry_after or RETRY_SECONDS)
                continue
            await self._awake.wait()
            self._awake.clear()

    async def resume(self) -> None:
        """Go on with the changes of others that were as far as this when they were looked at last."""
        unfinished = await self._changes.unfinished(_RESUMED_AT_ONCE)
        others = {change.id: change for change in unfinished if change.id not in self._ours}
        # The steps of a process that lives take less time than there is between two looks. No clock is asked, because
        # that of another machine may be another.
        left_alone = [one for id_, one in others.items() if self._alone or self._seen.get(id_) == one]
        self._seen = others
        for change in left_alone:
            # Nobody waits to hear that the event was cancelled.
            with suppress(Conflict):
                await self._make(change)

    async def _make(self, change: EventChange) -> list[Delivery]:
        self._ours.add(change.id)
        try:
            return [delivery async for delivery in self._steps(change)]
        finally:
            self._ours.discard(change.id)

    async def _steps(self, change: EventChange) -> AsyncIterator[Delivery]:
        only = None if change.subscription_ids is None else frozenset(change.subscription_ids)
        query = DeliveryQuery(event_id=change.event_id, subscription_ids=only)
        is_begun = change.kind is ChangeKind.CANCEL or change.after is not None
        while True:
            found = await self._archive.deliveries(change.tenant, query, Page(STEP, change.after))
            if found.next_cursor is not None and not is_begun:
                # What fits into one step is made or not made. From here on a half may be.
                await self._changes.save(change)
                is_begun = True
            try:
                changed = await self._step(change, found.items)
            except Conflict:
                await self._changes.end(change)
                raise
            for delivery in changed:
                yield delivery
            if found.next_cursor is None:
                break
            # After the step: one that a process has died in is made again, and changes only what it has not changed.
            change = replace(change, after=found.next_cursor)
            await self._changes.save(change)
        if is_begun:
            await self._changes.end(change)

    async def _step(self, change: EventChange, found: Sequence[Delivery]) -> list[Delivery]:
        """Change these deliveries where that is possible, and give those that were changed."""
        now = self._clock.now()
        results: list[Result] = []
        if change.kind is ChangeKind.CANCEL:
            results = [cancel(d, EVENT_CANCELLED, now) for d in found if d.status is Status.PENDING]
        elif change.kind is ChangeKind.REPLAY:
            existing = await self._existing(d.subscription_id for d in found)
            results = [replay(d, now) for d in found if d.status in _ENDED and d.subscription_id in existing]
        written = await self._queue.finish(results)
        if WriteOutcome.EVENT_CANCELLED in written:
            raise Conflict(CANCELLED)
        # Another write came first where a result is fenced; that delivery is not this change's to report.
        changed = [r.delivery for r, w in zip(results, written, strict=True) if w is WriteOutcome.RECORDED]
        if change.kind is ChangeKind.REPLAY:
            self._notify(Signal({delivery.subscription_id: None for delivery in changed}))
        else:
            for delivery in changed:
                self._metrics.ended(delivery.channel, Status.CANCELLED)
        return changed
