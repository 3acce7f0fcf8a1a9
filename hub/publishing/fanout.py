"""Expanding events with very many matching subscriptions into their deliveries, in chunks, so that it can resume."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import orjson
import structlog

from hub.catalogue.catalogue import Catalogue
from hub.clock import Clock
from hub.errors import Unavailable
from hub.ids import new_id
from hub.models import Event
from hub.stores.base import FanOut, Intake, Match, NewDelivery, Notify, Signal

_log = structlog.get_logger(__name__)

CHUNK = 500
"""How many deliveries a tenant gets at a time, over all its events."""
EVENTS_AT_ONCE = 10
MATCHES_KEPT = 4
RETRY_SECONDS = 1.0
FAILED_SECONDS = 60.0
"""How long to leave an event alone whose expansion failed unexpectedly."""
YIELD_SECONDS = 0.5
"""How long to leave events to the other process that is expanding them."""
Result = TypeVar("Result")


class FanOutExpander:
    """Makes the deliveries that were too many for the request that published the event. Runs until it is cancelled.

    They are for the subscriptions that matched when the event was accepted. A cursor in the store says how far each
    event is, so another process, or this one after a restart, goes on from there.

    Tenants get a chunk each in turn, and of each tenant its oldest events a share of that chunk, so a huge fan-out
    delays a small one by a few chunks. See docs/decisions/0028.
    """

    def __init__(self, intake: Intake, catalogue: Catalogue, clock: Clock, notify: Notify) -> None:
        self._intake = intake
        self._catalogue = catalogue
        self._clock = clock
        self._notify = notify
        self._awake = asyncio.Event()
        # The events of a batch share a match; reading it for each of them would cost more than their deliveries.
        self._matches: dict[str, Match | None] = {}
        self._failed: dict[str, float] = {}
        """Until when each event that failed is left alone, by the monotonic clock."""

    def wake(self) -> None:
        self._awake.set()

    async def run(self) -> None:
        """Expand what is waiting, then wait until `wake` is called."""
        tenant = ""
        while True:
            # Before the look: an event that is accepted while this looks sets it again.
            self._awake.clear()
            try:
                fan_outs = await self._intake.fan_outs(EVENTS_AT_ONCE + len(self._failed), tenant)
                ours = await self._expand(self._ready(fan_outs))
            except Unavailable as error:
                await self._clock.sleep(error.retry_after or RETRY_SECONDS)
                continue
            if not fan_outs:
                await self._awake.wait()
            else:
                tenant = fan_outs[0].event.tenant
                # Not after a failure: the next look leaves that event out, and there may be others.
                if all(part is False for part in ours):
                    await self._clock.sleep(YIELD_SECONDS)

    def _ready(self, fan_outs: Sequence[FanOut]) -> Sequence[FanOut]:
        """These events without those that failed a short time ago: they must not hide what is behind them."""
        now = self._clock.monotonic()
        self._failed = {event: until for event, until in self._failed.items() if until > now}
        return [fan_out for fan_out in fan_outs if fan_out.event.id not in self._failed][:EVENTS_AT_ONCE]

    async def _expand(self, fan_outs: Sequence[FanOut]) -> list[bool | None]:
        """Make one chunk of deliveries, and say for each event whether it was this process that made its part."""
        remaining = [(fan_out, await self._try(fan_out, self._remaining(fan_out))) for fan_out in fan_outs]
        parts, room = [], CHUNK
        for place, (fan_out, left) in enumerate(remaining):
            if left is None:
                continue
            # What an event does not need of its share is for those after it.
            part = left[: max(room // (len(fan_outs) - place), 1)]
            room -= len(part)
            parts.append(self._try(fan_out, self._expand_part(fan_out, part, is_last=len(part) == len(left))))
        # Together, so that they are one commit.
        return await asyncio.gather(*parts)

    async def _try(self, fan_out: FanOut, work: Awaitable[Result]) -> Result | None:
        """What the work gives; None where it failed. Raises nothing but `Unavailable`."""
        try:
            return await work
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one event that fails must not hold up the others
            _log.exception("fan_out.failed", event_id=fan_out.event.id)
            self._failed[fan_out.event.id] = self._clock.monotonic() + FAILED_SECONDS
            return None

    async def _expand_part(self, fan_out: FanOut, part: Sequence[tuple[str, str]], *, is_last: bool) -> bool:
        """Make these deliveries. Gives False when another process is expanding the same event."""
        deliveries = [NewDelivery(new_id("dlv"), subscription_id, channel) for subscription_id, channel in part]
        # Deliveries and cursor move in one commit. A process that dies here leaves no delivery out and makes none
        # twice.
        if not await self._intake.expand(fan_out, deliveries, None if is_last else part[-1][0]):
            return False
        self._notify(Signal({subscription_id: fan_out.event.deliver_at for subscription_id, _ in part}))
        return True

    async def _remaining(self, fan_out: FanOut) -> Sequence[tuple[str, str]]:
        """The next recipients whose deliveries are not made yet, by id and channel; at most one more than a chunk."""
        match = await self._match(fan_out.match) if fan_out.match else None
        recipients = await self._match_now(fan_out.event) if match is None else match.recipients
        place = bisect_right(recipients, fan_out.after, key=lambda recipient: recipient[0])
        return recipients[place : place + CHUNK + 1]

    async def _match(self, name: str) -> Match | None:
        if name not in self._matches:
            if len(self._matches) >= MATCHES_KEPT:
                del self._matches[next(iter(self._matches))]
            self._matches[name] = await self._intake.match(name)
        return self._matches[name]

    async def _match_now(self, event: Event) -> Sequence[tuple[str, str]]:
        """Whom an event is for of which no match is kept. Subscriptions created after it was accepted do not get it."""
        # Another process may have accepted the event for a subscription that is not known here yet.
        await self._catalogue.refresh()
        seen = event.seen(orjson.loads(event.data))
        return sorted(
            (s.id, s.spec.channel)
            for s in self._catalogue.subscribed(event.tenant, event.type)
            if s.created_at <= event.accepted_at and (s.filter is None or s.filter.holds(seen))
        )
