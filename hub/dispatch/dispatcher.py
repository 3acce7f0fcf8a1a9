"""The loop that moves deliveries: claim what the lanes have room for, one task an attempt, record what became of it."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from math import inf
from random import Random
from typing import Final

import structlog

from channels.base import Receipt, SendFailed
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions import Subscription
from hub.catalogue.subscriptions.service import Subscriptions
from hub.clock import Clock
from hub.dispatch.attempt_log import report
from hub.dispatch.heartbeat import Heartbeat
from hub.dispatch.lanes import Lanes
from hub.dispatch.sender import Sender
from hub.dispatch.store_backoff import RETRY_SECONDS, StoreBackoff
from hub.dispatch.transitions import AttemptResult, Skipped, Timing, Unknown, cancel, release, settle, skip
from hub.errors import Unavailable
from hub.failpoints import Failpoint
from hub.models import Status
from hub.retry import DEFAULT_SCHEDULE
from hub.stores.base import Claim, ClaimRequest, LanePolicy, Queue, Result, WriteOutcome
from hub.telemetry.metrics import Metrics

LEASE_SECONDS: Final = 30.0
LAST_RECORDS_SECONDS: Final = 5.0
SWEEP_LIMIT: Final = 500
DELETED_LANE_ROOM: Final = 100

_GONE = "the target answered 410 Gone: it wants no more messages"
_LOST = Unknown("the process stopped before the result was recorded; the target may have received it")
_DELETED = Skipped(Status.CANCELLED, "the subscription was deleted")
_log = structlog.get_logger(__name__)


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
        lease: float = LEASE_SECONDS,
    ) -> None:
        """`lease` is for how many seconds a claim is this process's own, unless it renews it."""
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
        self._stopped = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._attempts: dict[asyncio.Task[None], Claim] = {}
        self._sending: set[asyncio.Task[AttemptResult]] = set()
        self._trouble = StoreBackoff(clock)
        self._heartbeat = Heartbeat(queue, clock, self._trouble, lease, lambda: list(self._attempts.values()))
        self.lanes = Lanes(max_in_flight, self._policy, clock)
        catalogue.watch(self._refresh)

    @property
    def stopping(self) -> bool:
        """Nothing new is started."""
        return self._stopped.is_set()

    # -- telling it --------------------------------------------------------------------------------------------------

    def notice(self, due: Mapping[str, datetime | None]) -> None:
        """Deliveries of these lanes are due at these instants (None: now)."""
        for lane, due_at in due.items():
            self.lanes.notice(lane, due_at)
        self._awake.set()

    async def sweep(self, *, all_owners: bool = False) -> int:
        """Record attempts that a dead process left behind as unknown, and look for due work; gives how many it found.

        `all_owners` ends every lease, run out or not: right when no other process can be alive.
        """
        await self._heartbeat.renew()
        found = 0 if self._trouble.recent else await self._take_over(all_owners)
        self.lanes.prune()
        self.notice(await self._queue.due())
        return found

    async def _take_over(self, all_owners: bool) -> int:
        found = 0
        while claims := await self._queue.reclaim(SWEEP_LIMIT, all_owners=all_owners):
            results = [self._settle_unknown(claim) for claim in claims]
            for result, written in zip(results, await self._queue.finish(results), strict=True):
                if written is WriteOutcome.EVENT_CANCELLED:
                    await self._cancel_instead(result)
            found += len(claims)
            if len(claims) < SWEEP_LIMIT:
                break
        return found

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Dispatch until `stop`."""
        while not self.stopping:
            self._awake.clear()
            wants = self.lanes.take()
            if not wants:
                await self._sleep(self.lanes.next_ready(), self._awake)
                continue
            async with self._claiming:
                rest = await self._claim(wants)
            if rest:
                await self._sleep(rest, self._stopped)

    def stop_claiming(self) -> None:
        """Start nothing new; `run` returns."""
        self._stopped.set()
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
        await self._heartbeat.stop()

    async def _sleep(self, seconds: float, waking: asyncio.Event) -> None:
        waiting: list[asyncio.Task[object]] = [asyncio.create_task(waking.wait())]
        if seconds < inf:
            waiting.append(asyncio.create_task(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _claim(self, wants: list[ClaimRequest]) -> float:
        """Put what the store gives to work; gives for how long to leave the store alone then."""
        try:
            claimed = await self._queue.claim(wants, {want.lane: self._heartbeat.lease for want in wants})
        except BaseException as error:
            self.lanes.unclaimed(wants)
            if not isinstance(error, Unavailable):
                raise
            return self._trouble.note(error)
        self.lanes.claimed(wants, claimed)
        known = await self._ensure_known([claim.delivery.subscription_id for claim in claimed.claims])
        for claim in claimed.claims:
            task = asyncio.create_task(self._attempt(claim, known))
            self._attempts[task] = claim
            task.add_done_callback(self._attempts.pop)
        if claimed.claims:
            self._heartbeat.start()
        return 0.0

    async def _ensure_known(self, subscription_ids: Iterable[str]) -> bool:
        """Whether a subscription that is unknown is deleted, and not new: its first event can be quicker than its
        news."""
        if all(self._catalogue.subscription(subscription_id) is not None for subscription_id in subscription_ids):
            return True
        try:
            await self._catalogue.refresh()
        except Unavailable as error:
            self._trouble.note(error)
            return False
        return True

    # -- one attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self, claim: Claim, known: bool) -> None:
        """Try a claimed delivery once and record what became of it; for `known` see `_ensure_known`."""
        lane = claim.delivery.subscription_id
        try:
            await self._process(claim, self._catalogue.subscription(lane), known)
        except Exception:  # noqa: BLE001 - nobody waits for this task; when its lease has run out it is tried again
            _log.exception("attempt failed unexpectedly", delivery_id=claim.delivery.id)
        finally:
            self.lanes.ended(lane)
            self._awake.set()

    async def _process(self, claim: Claim, subscription: Subscription | None, known: bool) -> None:
        now = self._clock.now()
        if subscription is None and known:
            await self._record(skip(claim, _DELETED, now))
        elif (skipped := _reason_to_skip(claim, now)) is not None:
            await self._record(skip(claim, skipped, now))
        elif subscription is None or self.stopping or not subscription.spec.enabled:
            await self._record(release(claim, now))
        else:
            await self._try(claim, subscription)

    async def _try(self, claim: Claim, subscription: Subscription) -> None:
        started_at, started = self._clock.now(), self._clock.monotonic()
        tried = await self._send(claim, subscription, started_at)
        duration = self._clock.monotonic() - started
        if isinstance(tried, Receipt):
            self._failpoint("after_2xx")
        duration_ms = round(duration * 1000)
        timing = Timing(started_at, started_at + timedelta(milliseconds=duration_ms), duration_ms)
        result = settle(claim, tried, timing, subscription.schedule, self._random)
        report(result, self._metrics, duration)
        await self._record(result)
        if isinstance(tried, SendFailed) and tried.status_code == HTTPStatus.GONE:
            await self._disable(subscription)

    async def _disable(self, subscription: Subscription) -> None:
        """Take a target at its word that it wants no more; it may be deleted meanwhile."""
        while self._catalogue.subscription(subscription.id) is not None:
            try:
                await self._subscriptions.disable(subscription.tenant, subscription.id, _GONE)
                return
            except Unavailable as error:
                await self._clock.sleep(self._trouble.note(error))

    async def _send(self, claim: Claim, subscription: Subscription, at: datetime) -> AttemptResult:
        """Send, as a task of its own that `stop` can end."""
        seconds = subscription.spec.timeout or self._attempt_timeout
        send = self._sender.send(claim.event, claim.delivery, subscription, at=at, seconds=seconds)
        sending: asyncio.Task[AttemptResult] = asyncio.create_task(send)
        self._sending.add(sending)
        try:
            return await sending
        except asyncio.CancelledError:
            return Unknown("the hub was stopped before the target answered")
        finally:
            self._sending.discard(sending)

    async def _record(self, result: Result) -> None:
        """Write a result; while the store cannot take it, keep trying: after the lease, fencing decides."""
        while (written := await self._finish(result)) is None:
            await self._clock.sleep(RETRY_SECONDS)
        if written is WriteOutcome.EVENT_CANCELLED:
            await self._cancel_instead(result)
        elif written is WriteOutcome.RECORDED and result.delivery.status is Status.PENDING:
            self.notice({result.delivery.subscription_id: result.delivery.next_attempt_at})

    async def _finish(self, result: Result) -> WriteOutcome | None:
        try:
            (written,) = await self._queue.finish([result])
        except Unavailable as error:
            self._trouble.note(error)
            return None
        return written

    async def _cancel_instead(self, result: Result) -> None:
        cancelled = cancel(result.delivery, "the event was cancelled", result.delivery.updated_at)
        await self._record(replace(result, delivery=cancelled.delivery, feed=(*result.feed, *cancelled.feed)))

    # -- what it knows and says --------------------------------------------------------------------------------------

    def _policy(self, lane: str) -> LanePolicy | None:
        subscription = self._catalogue.subscription(lane)
        if subscription is None:
            return LanePolicy(DELETED_LANE_ROOM, revision=self._catalogue.version)
        if not subscription.spec.enabled:
            return None
        return LanePolicy(subscription.spec.max_in_flight, subscription.per_second, subscription.version)

    def _refresh(self, subscription_id: str) -> None:
        self.lanes.refresh(subscription_id)
        self._awake.set()

    def _settle_unknown(self, claim: Claim) -> Result:
        subscription = self._catalogue.subscription(claim.delivery.subscription_id)
        schedule = subscription.schedule if subscription else DEFAULT_SCHEDULE
        timing = Timing(claim.claimed_at, self._clock.now(), None)
        result = settle(claim, _LOST, timing, schedule, self._random)
        report(result, self._metrics, None)
        return result


def _reason_to_skip(claim: Claim, now: datetime) -> Skipped | None:
    event = claim.event
    if claim.damage is not None:
        return Skipped(Status.DEAD, claim.damage)
    if event.cancelled_at is not None:
        return Skipped(Status.CANCELLED, "the event was cancelled")
    if event.expires_at is not None and event.expires_at <= now:
        return Skipped(Status.DEAD, "expired before it could be sent")
    return None
