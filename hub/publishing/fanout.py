"""Expanding an event with very many matching subscriptions into its deliveries, in chunks, so that it can resume."""

import asyncio
from collections.abc import Sequence
from itertools import islice

import orjson
import structlog

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions import Subscription
from hub.clock import Clock
from hub.errors import Unavailable
from hub.publishing.publisher import new_delivery
from hub.stores.base import FanOut, Intake, Notify, Signal

_log = structlog.get_logger(__name__)

CHUNK = 500
EVENTS_AT_ONCE = 10
RETRY_SECONDS = 1.0
FAILED_SECONDS = 60.0
"""How long to leave an event alone whose expansion failed unexpectedly."""
YIELD_SECONDS = 0.5
"""How long to leave an event to the other process that is expanding it."""


class FanOutExpander:
    """Makes the deliveries that were too many for the request that published the event. Runs until it is cancelled.

    A cursor in the store says how far each event is, so another process, or this one after a restart, goes on from
    there.
    """

    def __init__(self, intake: Intake, catalogue: Catalogue, clock: Clock, notify: Notify) -> None:
        self._intake = intake
        self._catalogue = catalogue
        self._clock = clock
        self._notify = notify
        self._awake = asyncio.Event()
        self._failed: dict[str, float] = {}
        """Until when each event that failed is left alone, by the monotonic clock."""

    def wake(self) -> None:
        self._awake.set()

    async def run(self) -> None:
        """Expand what is waiting, then wait until `wake` is called."""
        while True:
            # Before the look: an event that is accepted while this looks sets it again.
            self._awake.clear()
            try:
                fan_outs = await self._waiting()
                if fan_outs:
                    # Another process may have accepted the event for a subscription that is not known here yet.
                    await self._catalogue.refresh()
                ours = [await self._try(fan_out) for fan_out in fan_outs]
            except Unavailable as error:
                await self._clock.sleep(error.retry_after or RETRY_SECONDS)
                continue
            if not ours:
                await self._awake.wait()
            elif not any(ours):
                await self._clock.sleep(YIELD_SECONDS)

    async def _waiting(self) -> Sequence[FanOut]:
        """The next events, without those that failed a short time ago: they must not hide what is behind them."""
        now = self._clock.monotonic()
        self._failed = {event: until for event, until in self._failed.items() if until > now}
        found = await self._intake.fan_outs(EVENTS_AT_ONCE + len(self._failed))
        return [fan_out for fan_out in found if fan_out.event.id not in self._failed]

    async def _try(self, fan_out: FanOut) -> bool:
        """As `_expand`. Raises nothing but `Unavailable`."""
        try:
            return await self._expand(fan_out)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - one event that fails must not hold up the others
            _log.exception("fan_out.failed", event_id=fan_out.event.id)
            self._failed[fan_out.event.id] = self._clock.monotonic() + FAILED_SECONDS
            return True

    async def _expand(self, fan_out: FanOut) -> bool:
        """Create deliveries in the order of subscription ids until none is left.

        Subscriptions created after the event was accepted do not get it. Gives False when another process is expanding
        the same event.
        """
        remaining = iter(self._remaining(fan_out))
        while True:
            chunk = list(islice(remaining, CHUNK))
            after = chunk[-1].id if len(chunk) == CHUNK else None
            # Deliveries and cursor move in one commit. A process that dies here leaves no delivery out and makes none
            # twice.
            if not await self._intake.expand(fan_out, [new_delivery(s) for s in chunk], after):
                return False
            self._notify(Signal({s.id: fan_out.event.deliver_at for s in chunk}))
            if after is None:
                return True
            fan_out = FanOut(fan_out.event, after)

    def _remaining(self, fan_out: FanOut) -> list[Subscription]:
        event = fan_out.event
        seen = event.seen(orjson.loads(event.data))
        found = [
            s
            for s in self._catalogue.subscribed(event.tenant, event.type)
            if s.id > fan_out.after and s.created_at <= event.accepted_at and (s.filter is None or s.filter.holds(seen))
        ]
        # The cursor is the id of a subscription, so the order has to be the same in every process and every attempt.
        return sorted(found, key=lambda s: s.id)
