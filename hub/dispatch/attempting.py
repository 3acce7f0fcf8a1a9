"""Attempting: what is done with a claimed delivery. It is sent once, or skipped, or given back."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from channels.base import ChannelUnavailable, Receipt
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions import Subscription
from hub.clock import Clock
from hub.dispatch.recording import Recorder
from hub.dispatch.sender import Sender
from hub.dispatch.transitions import AttemptResult, Skipped, Timing, Unknown, hold, reason_to_skip, release, skip
from hub.failpoints import Failpoint
from hub.models import Status
from hub.stores.base import Claim

LAST_RECORDS_SECONDS: Final = 5.0
"""How long a stopping process waits for the store to take the results of the attempts that it has ended."""

_SUBSCRIPTION_DELETED = Skipped(Status.CANCELLED, "the subscription was deleted")
_STOPPED = Unknown("the hub was stopped before the target answered")
_log = structlog.get_logger(__name__)


class Attempter:
    """Runs each attempt as a task of its own, from the claim until its result is recorded."""

    def __init__(
        self,
        sender: Sender,
        catalogue: Catalogue,
        clock: Clock,
        recorder: Recorder,
        on_end: Callable[[str, float], None],
        *,
        timeout: float,
        failpoint: Failpoint,
        time_of_day: Callable[[], datetime],
    ) -> None:
        """`timeout` bounds the attempts of subscriptions without one of their own, in seconds; `on_end` is called with
        the lane of each attempt that has ended, and for how many seconds it went on. `time_of_day` says whether an
        event has expired."""
        self._sender = sender
        self._catalogue = catalogue
        self._clock = clock
        self._recorder = recorder
        self._on_end = on_end
        self._timeout = timeout
        self._failpoint = failpoint
        self._time_of_day = time_of_day
        self._stopping = False
        self._attempts: dict[asyncio.Task[None], Claim] = {}
        # Sending is a task inside of the attempt's, so that it can be ended and its end still be recorded.
        self._sending: set[asyncio.Task[AttemptResult]] = set()

    def claims(self) -> Sequence[Claim]:
        """The claims under way, whose leases are to be renewed."""
        return list(self._attempts.values())

    def start(self, claim: Claim, *, catalogue_up_to_date: bool) -> None:
        """Begin with a claimed delivery. Unless the catalogue is up to date, an unknown subscription may be new."""
        # asyncio keeps no strong reference to a task: the entry keeps the attempt alive, and its lease renewed.
        task = asyncio.create_task(self._attempt(claim, catalogue_up_to_date))
        self._attempts[task] = claim
        task.add_done_callback(self._attempts.pop)

    def stop_sending(self) -> None:
        """Give back what is started from now on."""
        self._stopping = True

    async def stop(self, grace: float) -> None:
        """Let attempts under way go on for `grace` seconds, then end them with the outcome unknown."""
        self.stop_sending()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=grace)
        for sending in self._sending:
            sending.cancel()
        if self._attempts:
            # What is not recorded by then is left to its lease: another process records it as unknown and tries again.
            await asyncio.wait(self._attempts, timeout=LAST_RECORDS_SECONDS)

    async def _attempt(self, claim: Claim, catalogue_up_to_date: bool) -> None:
        started = self._clock.monotonic()
        try:
            await self._process(claim, catalogue_up_to_date)
        except Exception:  # noqa: BLE001 - nothing awaits this task; the delivery is tried again when its lease runs out
            _log.exception("attempt.crashed", delivery_id=claim.delivery.id)
        finally:
            # Whatever happened: otherwise the lane would count this attempt as under way until the process ends.
            self._on_end(claim.delivery.lane, self._clock.monotonic() - started)

    async def _process(self, claim: Claim, catalogue_up_to_date: bool) -> None:
        subscription = self._catalogue.subscription(claim.delivery.subscription_id)
        now = self._clock.now()
        # What has to end is ended, even while this process stops: given back, it would only be claimed again to be
        # ended.
        if subscription is None and catalogue_up_to_date:
            await self._recorder.record(skip(claim, _SUBSCRIPTION_DELETED, now))
        elif (skipped := reason_to_skip(claim, self._time_of_day)) is not None:
            await self._recorder.record(skip(claim, skipped, now))
        elif subscription is None or self._stopping or not subscription.spec.enabled:
            await self._recorder.record(release(claim, now))
        else:
            await self._try(claim, subscription)

    async def _try(self, claim: Claim, subscription: Subscription) -> None:
        started_at, started = self._clock.now(), self._clock.monotonic()
        attempted = await self._send(claim, subscription, started_at)
        duration = self._clock.monotonic() - started
        if isinstance(attempted, Receipt):
            # The target has the message, and the store does not know it yet: a process that dies here makes a
            # duplicate.
            self._failpoint("after_2xx")
        # The end is reckoned from the monotonic duration: the time of day may be set while the target answers.
        duration_ms = round(duration * 1000)
        timing = Timing(started_at, started_at + timedelta(milliseconds=duration_ms), duration_ms)
        if isinstance(attempted, ChannelUnavailable):
            pause_seconds = self._sender.holds.pause_seconds(subscription)
            held = hold(claim, attempted, timing.ended_at, pause_seconds, subscription.address)
            await self._recorder.record(held)
            return
        await self._recorder.record_attempt(claim, subscription, attempted, timing, duration)

    async def _send(self, claim: Claim, subscription: Subscription, at: datetime) -> AttemptResult:
        seconds = subscription.spec.timeout or self._timeout
        send = self._sender.send(claim.event, claim.delivery, subscription, at=at, seconds=seconds)
        sending: asyncio.Task[AttemptResult] = asyncio.create_task(send)
        self._sending.add(sending)
        try:
            return await sending
        except asyncio.CancelledError:
            # Only `stop` cancels, and it cancels the inner task alone, so this one goes on and records the end.
            return _STOPPED
        finally:
            self._sending.discard(sending)
