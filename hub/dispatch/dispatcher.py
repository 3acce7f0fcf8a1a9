"""The loop that moves deliveries: claim what the lanes have room for, one task an attempt, record what became of it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from math import inf
from random import Random

import structlog

from channels.base import Receipt, SendFailed
from hub.catalogue import Catalogue
from hub.clock import Clock
from hub.dispatch.lanes import LanePolicy, Lanes
from hub.dispatch.sender import Sender
from hub.dispatch.transitions import Skipped, Timing, Tried, Unknown, cancel, release, settle, skip
from hub.errors import HubError, Unavailable
from hub.failpoints import Failpoint
from hub.metrics import Metrics
from hub.models import Status
from hub.retry import DEFAULT_SCHEDULE
from hub.stores.base import Claim, Queue, Result, Want, Written
from hub.subscriptions import Subscription
from hub.subscriptions.service import Subscriptions

LEASE_MARGIN_SECONDS = 15.0
LAST_RECORDS_SECONDS = 5.0
RECORD_RETRY_SECONDS = 1.0
CLAIM_RETRY_SECONDS = 1.0
SWEEP_LIMIT = 500
DELETED_LANE_ROOM = 100
LONGEST_PAUSE_SECONDS = 300.0
"""How long one answer 429 may hold back a whole lane; its own delivery waits as long as was asked."""

_GONE = "the target answered 410 Gone: it wants no more messages"
_LOST = Unknown("the process stopped before the result was recorded; the target may have received it")
_DELETED = Skipped(Status.CANCELLED, "the subscription was deleted")
_log = structlog.get_logger("hub.attempt")


class Dispatcher:
    """Runs until it is stopped. `notice` tells it of due work; `sweep` finds what nobody told it of."""

    def __init__(
        self,
        queue: Queue,
        catalogue: Catalogue,
        subscriptions: Subscriptions,
        sender: Sender,
        clock: Clock,
        metrics: Metrics,
        *,
        max_in_flight: int,
        attempt_timeout: float,
        failpoint: Failpoint,
        random: Random,
    ) -> None:
        self._queue = queue
        self._catalogue = catalogue
        self._subscriptions = subscriptions
        self._sender = sender
        self._clock = clock
        self._metrics = metrics
        self._attempt_timeout = attempt_timeout
        self._failpoint = failpoint
        self._random = random
        self._awake = asyncio.Event()
        self._claiming = asyncio.Lock()
        self.stopping = False
        self._attempts: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[Tried]] = set()
        self.lanes = Lanes(max_in_flight, self._policy, clock, random)
        catalogue.watch(self._refresh)

    # -- telling it --------------------------------------------------------------------------------------------------

    def notice(self, due: Mapping[str, datetime | None]) -> None:
        """Deliveries of these lanes are due at these instants (None: now)."""
        for lane, due_at in due.items():
            self.lanes.notice(lane, due_at)
        self._awake.set()

    async def sweep(self, *, everyones: bool = False) -> int:
        """Record attempts that a dead process left behind as unknown, and look for due work; gives how many it found.

        `everyones` ends every lease, run out or not: right when no other process can be alive.
        """
        found = 0
        while claims := await self._queue.reclaim(SWEEP_LIMIT, everyones=everyones):
            results = [self._settle_unknown(claim) for claim in claims]
            for result, written in zip(results, await self._queue.finish(results), strict=True):
                if written is Written.EVENT_CANCELLED:
                    await self._cancel_instead(result)
            found += len(claims)
            if len(claims) < SWEEP_LIMIT:
                break
        self.lanes.prune()
        self.notice(await self._queue.due())
        return found

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Dispatch until `stop`."""
        while not self.stopping:
            self._awake.clear()
            wants = self.lanes.take()
            if wants:
                async with self._claiming:
                    await self._claim(wants)
            else:
                await self._sleep(self.lanes.next_ready())

    def stop_claiming(self) -> None:
        """Start nothing new; `run` returns."""
        self.stopping = True
        self._awake.set()

    async def stop(self, grace: float) -> None:
        """Give attempts under way `grace` seconds, then end them with the outcome unknown."""
        self.stop_claiming()
        async with self._claiming:
            pass  # what was being claimed is under way by now, or was released
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=grace)
        for sending in self._sending:
            sending.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=LAST_RECORDS_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        waiting: list[asyncio.Task[object]] = [asyncio.create_task(self._awake.wait())]
        if seconds < inf:
            waiting.append(asyncio.create_task(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _claim(self, wants: list[Want]) -> None:
        leases = {want.lane: self._lease_seconds(want.lane) for want in wants}
        try:
            claimed = await self._queue.claim(wants, leases)
        except HubError as error:
            for want in wants:
                self.lanes.claimed(want, 0, self._clock.now())
            if not isinstance(error, Unavailable):
                raise
            await self._clock.sleep(error.retry_after or CLAIM_RETRY_SECONDS)
            return
        numbers: dict[str, int] = {}
        for claim in claimed.claims:
            lane = claim.delivery.subscription_id
            numbers[lane] = numbers.get(lane, 0) + 1
            task = asyncio.create_task(self._attempt(claim))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)
        for want in wants:
            self.lanes.claimed(want, numbers.get(want.lane, 0), claimed.next_due.get(want.lane))

    # -- one attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self, claim: Claim) -> None:
        """Try a claimed delivery once and record what became of it."""
        lane, now = claim.delivery.subscription_id, self._clock.now()
        subscription = self._catalogue.subscription(lane)
        if subscription is None:
            untried = skip(claim, _DELETED, now)
        elif (skipped := _reason_to_skip(claim, now)) is not None:
            untried = skip(claim, skipped, now)
        elif self.stopping or not subscription.spec.enabled:
            untried = release(claim, now)
        else:
            await self._try(claim, subscription)
            return
        self.lanes.freed(lane)
        await self._record(untried)

    async def _try(self, claim: Claim, subscription: Subscription) -> None:
        started_at, started = self._clock.now(), self._clock.monotonic()
        tried = await self._send(claim, subscription, started_at)
        duration = self._clock.monotonic() - started
        self._tell_lane(subscription.id, tried)
        if isinstance(tried, Receipt):
            self._failpoint("after_2xx")
        duration_ms = round(duration * 1000)
        timing = Timing(started_at, started_at + timedelta(milliseconds=duration_ms), duration_ms)
        result = settle(claim, tried, timing, subscription.schedule, self._random)
        self._report(result, duration)
        await self._record(result)
        if isinstance(tried, SendFailed) and tried.status_code == HTTPStatus.GONE:
            await self._disable(subscription)

    async def _disable(self, subscription: Subscription) -> None:
        """Take a target at its word that it wants no more; it may be deleted meanwhile."""
        while self._catalogue.subscription(subscription.id) is not None:
            try:
                await self._subscriptions.disable(subscription.tenant, subscription.id, _GONE)
                return
            except Unavailable:
                await self._clock.sleep(RECORD_RETRY_SECONDS)

    async def _send(self, claim: Claim, subscription: Subscription, at: datetime) -> Tried:
        """Send, as a task of its own that `stop` can end."""
        seconds = subscription.spec.timeout or self._attempt_timeout
        send = self._sender.send(claim.event, claim.delivery, subscription, at=at, seconds=seconds)
        sending: asyncio.Task[Tried] = asyncio.create_task(send)
        self._sending.add(sending)
        try:
            return await sending
        except asyncio.CancelledError:
            return Unknown("the hub was stopped before the target answered")
        finally:
            self._sending.discard(sending)

    def _tell_lane(self, lane: str, tried: Tried) -> None:
        if isinstance(tried, Receipt):
            self.lanes.settled(lane, failed=False)
        elif isinstance(tried, Unknown) or tried.permanent:
            # A message that can never be taken, such as to a mailbox that is not there, is not a target in trouble.
            self.lanes.freed(lane)
        else:
            throttled = tried.status_code == HTTPStatus.TOO_MANY_REQUESTS
            pause = min(tried.retry_after or 0.0, LONGEST_PAUSE_SECONDS) if throttled else 0.0
            self.lanes.settled(lane, failed=not throttled, pause_seconds=pause)
        self._awake.set()

    async def _record(self, result: Result) -> None:
        """Write a result; while the store cannot take it, keep trying: after the lease, fencing decides."""
        while (written := await self._finish(result)) is None:
            await self._clock.sleep(RECORD_RETRY_SECONDS)
        if written is Written.EVENT_CANCELLED:
            await self._cancel_instead(result)
        elif written is Written.RECORDED and result.delivery.status is Status.PENDING:
            self.notice({result.delivery.subscription_id: result.delivery.next_attempt_at})

    async def _finish(self, result: Result) -> Written | None:
        try:
            (written,) = await self._queue.finish([result])
        except Unavailable:
            return None
        return written

    async def _cancel_instead(self, result: Result) -> None:
        cancelled = cancel(result.delivery, "the event was cancelled", result.delivery.updated_at)
        await self._record(Result(cancelled.delivery, result.attempt, (*result.feed, *cancelled.feed), result.cause))

    # -- what it knows and says --------------------------------------------------------------------------------------

    def _policy(self, lane: str) -> LanePolicy:
        subscription = self._catalogue.subscription(lane)
        if subscription is None:
            return LanePolicy(max_in_flight=DELETED_LANE_ROOM)
        spec = subscription.spec
        return LanePolicy(spec.max_in_flight, subscription.per_second, spec.enabled)

    def _refresh(self, subscription_id: str) -> None:
        self.lanes.refresh(subscription_id)
        self._awake.set()

    def _lease_seconds(self, lane: str) -> float:
        subscription = self._catalogue.subscription(lane)
        timeout = subscription.spec.timeout if subscription else None
        return (timeout or self._attempt_timeout) + LEASE_MARGIN_SECONDS

    def _settle_unknown(self, claim: Claim) -> Result:
        subscription = self._catalogue.subscription(claim.delivery.subscription_id)
        schedule = subscription.schedule if subscription else DEFAULT_SCHEDULE
        timing = Timing(claim.claimed_at, self._clock.now(), None)
        result = settle(claim, _LOST, timing, schedule, self._random)
        self._report(result, None)
        return result

    def _report(self, result: Result, duration: float | None) -> None:
        """One wide line, and the numbers, of an attempt."""
        delivery, attempt = result.delivery, result.attempt
        if attempt is None:
            return
        self._metrics.attempted(delivery.channel, attempt.outcome, duration)
        if delivery.status is not Status.PENDING:
            self._metrics.ended(delivery.channel, delivery.status)
        _log.info(
            "attempt",
            tenant=delivery.tenant,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            delivery_id=delivery.id,
            subscription_id=delivery.subscription_id,
            channel=delivery.channel,
            number=attempt.number,
            cause=attempt.cause,
            outcome=attempt.outcome,
            status_code=attempt.status_code,
            error=attempt.error,
            duration_ms=attempt.duration_ms,
            status=delivery.status,
            next_attempt_at=delivery.next_attempt_at and delivery.next_attempt_at.isoformat(),
        )


def _reason_to_skip(claim: Claim, now: datetime) -> Skipped | None:
    event = claim.event
    if event.cancelled_at is not None:
        return Skipped(Status.CANCELLED, "the event was cancelled")
    if event.expires_at is not None and event.expires_at <= now:
        return Skipped(Status.DEAD, "expired before it could be sent")
    return None
