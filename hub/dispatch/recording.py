"""Recording: the result of an attempt is written, and what follows from it is done."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from random import Random

from channels.base import SendFailed
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions import Subscription
from hub.catalogue.subscriptions.service import Subscriptions
from hub.clock import Clock
from hub.dispatch.attempt_log import report_attempt, report_dead
from hub.dispatch.store_backoff import RETRY_SECONDS, StoreBackoff
from hub.dispatch.transitions import AttemptResult, Timing, Unknown, cancel_instead, expire, settle
from hub.errors import Unavailable
from hub.models import Delivery, Status
from hub.retry import DEFAULT_SCHEDULE
from hub.stores.base import Claim, Effect, Queue, Result, WriteOutcome
from hub.telemetry.metrics import Metrics

_GONE = "the target answered 410 Gone: it wants no more messages"
_LOST = Unknown("the process stopped before the result was recorded; the target may have received it")


class Recorder:
    """Writes results until the store has taken them. The lanes hear through `notify` when a delivery is due again."""

    def __init__(
        self,
        queue: Queue,
        catalogue: Catalogue,
        subscriptions: Subscriptions,
        clock: Clock,
        metrics: Metrics,
        random: Random,
        backoff: StoreBackoff,
        notify: Callable[[str, datetime | None], None],
    ) -> None:
        self._queue = queue
        self._catalogue = catalogue
        self._subscriptions = subscriptions
        self._clock = clock
        self._metrics = metrics
        self._random = random
        self._backoff = backoff
        self._notify = notify

    async def record_attempt(
        self, claim: Claim, subscription: Subscription, attempted: AttemptResult, timing: Timing, seconds: float
    ) -> None:
        """Decide what follows from an attempt that took `seconds`, and record it."""
        address = subscription.address
        result = settle(claim, attempted, timing, subscription.schedule, self._random, address)
        # Before it is written: while the store is away, the log is the only place that tells what the target answered.
        report_attempt(result, self._metrics, seconds)
        if isinstance(attempted, SendFailed) and attempted.status_code == HTTPStatus.GONE:
            # A target is taken at its word that it wants no more messages, but not for another one that took its place.
            await self.record(result, lambda: self._subscriptions.disabling(subscription.id, address, _GONE))
        else:
            await self.record(result)

    async def record(self, result: Result, effect: Callable[[], Effect | None] = lambda: None) -> None:
        """Write a result with its effect on the catalogue as it is then, however long the store cannot take it.

        The target has answered, so trying to write again is better than sending again. It cannot do harm: when the
        lease has run out meanwhile and the delivery is another process's, the fencing token keeps the result out.
        """
        while True:
            made = effect()
            written = await self._write(result if made is None else replace(result, effects=(made,)))
            if written is None:
                await self._clock.sleep(RETRY_SECONDS)
                continue
            if made is not None:
                await self._catch_up()
            if written is not WriteOutcome.STALE:
                break
        await self._follow_up(result, written)

    async def record_lost(self, claims: Sequence[Claim]) -> None:
        """Record attempts of a process that is dead as unknown. Raises `Unavailable`."""
        results = [self._settle_lost(claim) for claim in claims]
        # Not repeated here: what the store does not take now, the sweep takes over again when this lease has run out.
        for result, written in zip(results, await self._queue.finish(results), strict=True):
            await self._follow_up(result, written)

    async def record_expired(self, deliveries: Sequence[Delivery]) -> None:
        """End pending deliveries whose events have expired. Raises `Unavailable`."""
        results = [expire(delivery, self._clock.now()) for delivery in deliveries]
        for result, written in zip(results, await self._queue.finish(results), strict=True):
            await self._follow_up(result, written)

    def _settle_lost(self, claim: Claim) -> Result:
        subscription = self._catalogue.subscription(claim.delivery.subscription_id)
        schedule = subscription.schedule if subscription else DEFAULT_SCHEDULE
        result = settle(claim, _LOST, Timing(claim.claimed_at, self._clock.now(), None), schedule, self._random)
        report_attempt(result, self._metrics, None)
        return result

    async def _write(self, result: Result) -> WriteOutcome | None:
        """None when the store cannot take it now."""
        try:
            (written,) = await self._queue.finish([result])
        except Unavailable as error:
            self._backoff.failed(error)
            return None
        return written

    async def _follow_up(self, result: Result, written: WriteOutcome) -> None:
        delivery = result.delivery
        if written is WriteOutcome.EVENT_CANCELLED:
            await self.record(cancel_instead(result))
        elif written is WriteOutcome.FENCED:
            # The delivery belongs to another process by now, and that process does what follows.
            return
        elif delivery.status is Status.PENDING:
            # As the store has it: it counts from the write, whatever was done to the time of day meanwhile.
            wait = (delivery.next_attempt_at or delivery.updated_at) - delivery.updated_at
            self._notify(delivery.lane, self._clock.now() + wait)
        else:
            self._metrics.ended(delivery.channel, delivery.status)
            if delivery.status is Status.DEAD:
                report_dead(delivery)

    async def _catch_up(self) -> None:
        """See what the catalogue is like after an effect, or why the effect could not be written."""
        while True:
            try:
                await self._catalogue.refresh()
                return
            except Unavailable as error:
                await self._clock.sleep(self._backoff.failed(error))
