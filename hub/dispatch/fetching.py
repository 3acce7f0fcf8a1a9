"""Fetching: claim due deliveries while there is room for them, and start an attempt of each."""

import asyncio
from collections.abc import Sequence
from math import inf
from typing import Final

import structlog

from channels.base import ChannelUnavailable
from hub.catalogue.catalogue import Catalogue
from hub.clock import Clock
from hub.dispatch.attempting import Attempter
from hub.dispatch.groups import Groups
from hub.dispatch.heartbeat import Heartbeat
from hub.dispatch.holds import FIRST_PAUSE_SECONDS, Holds
from hub.dispatch.lanes import Lanes
from hub.dispatch.sender import Sender
from hub.dispatch.store_backoff import StoreBackoff
from hub.errors import Unavailable
from hub.stores.base import Claim, ClaimRequest, LanePolicy, Queue

DELETED_LANE_ROOM: Final = 100
"""How many deliveries of a deleted subscription are claimed at once, to be cancelled."""
_NOWHERE: Final = "nowhere"
"""The address of a deleted subscription."""
_log = structlog.get_logger(__name__)


class Fetcher:
    """The loop of the dispatcher. It asks the store only for lanes that are ready, and sleeps while none is."""

    def __init__(
        self,
        queue: Queue,
        catalogue: Catalogue,
        clock: Clock,
        lanes: Lanes,
        holds: Holds,
        attempter: Attempter,
        heartbeat: Heartbeat,
        backoff: StoreBackoff,
    ) -> None:
        self._queue = queue
        self._catalogue = catalogue
        self._clock = clock
        self._lanes = lanes
        self._holds = holds
        self._attempter = attempter
        self._heartbeat = heartbeat
        self._backoff = backoff
        self._stopping = asyncio.Event()
        # Held while a claim is under way; `finish_claim` waits for it.
        self._claiming = asyncio.Lock()
        self._asking_since: float | None = None
        """When the first claim began of those that have had no answer."""
        self._looked_at = clock.monotonic()
        """When it was last looked for lanes that are ready."""

    @property
    def stalled_seconds(self) -> float:
        """For how long nothing was claimed although something could be."""
        now = self._clock.monotonic()
        asking = 0.0 if self._asking_since is None else now - self._asking_since
        return max(asking, min(now - self._looked_at, self._lanes.overdue_seconds()))

    async def run(self) -> None:
        """Fetch until `stop`."""
        while not self._stopping.is_set():
            # Cleared before the lanes are looked at, so that nothing which comes after the look is missed.
            self._lanes.changed.clear()
            requests = self._lanes.take()
            self._looked_at = self._clock.monotonic()
            if not requests:
                await self._sleep(self._lanes.next_ready(), self._lanes.changed)
                continue
            if self._asking_since is None:
                self._asking_since = self._looked_at
            async with self._claiming:
                pause = await self._claim(requests)
            if pause:
                # Only stopping ends this pause. New work does not: the store would be asked again before it has
                # recovered.
                await self._sleep(pause, self._stopping)

    def stop(self) -> None:
        """Claim nothing more; `run` returns."""
        self._stopping.set()
        self._lanes.changed.set()

    async def finish_claim(self) -> None:
        """Return when the claim under way, if there is one, has been answered and its attempts are started."""
        async with self._claiming:
            pass

    async def _sleep(self, seconds: float, waking: asyncio.Event) -> None:
        waiting: list[asyncio.Task[object]] = [asyncio.create_task(waking.wait())]
        if seconds < inf:
            waiting.append(asyncio.create_task(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _claim(self, requests: Sequence[ClaimRequest]) -> float:
        """Start an attempt of each delivery that the store gives. Returns for how many seconds to leave the store alone
        after that."""
        try:
            result = await self._queue.claim(requests, {request.lane: self._heartbeat.lease for request in requests})
        except Unavailable as error:
            self._lanes.unanswered(requests)
            return self._backoff.failed(error)
        except Exception as error:  # noqa: BLE001 - an error that nobody foresaw must not stop all lanes
            return await self._claim_apart(requests, error)
        except BaseException:
            # On cancellation too: the room that the requests took is free again.
            self._lanes.unanswered(requests)
            raise
        self._lanes.answered(requests, result)
        self._asking_since = None
        up_to_date = False
        try:
            up_to_date = await self._catch_up(result.claims)
        finally:
            # Whatever happened: a claim without an attempt would take room until the process ends.
            for claim in result.claims:
                self._attempter.start(claim, catalogue_up_to_date=up_to_date)
            if result.claims:
                self._heartbeat.start()
        return 0.0

    async def _claim_apart(self, requests: Sequence[ClaimRequest], error: Exception) -> float:
        """Claim for each lane alone, so that only the one whose claim fails is held, with the reason."""
        if len(requests) == 1:
            (request,) = requests
            self._lanes.bar(request, self._hold(request.lane, error))
            self._asking_since = None
            return 0.0
        pauses = [await self._claim([request]) for request in requests]
        return max(pauses)

    def _hold(self, lane_id: str, error: Exception) -> float:
        """Let it be seen why the deliveries of this lane wait; gives for how many seconds."""
        _log.error("claim.failed", lane=lane_id, exc_info=error)
        if (subscription := self._catalogue.subscription(lane_id)) is None:
            return FIRST_PAUSE_SECONDS
        reason = ChannelUnavailable(f"its deliveries cannot be claimed: {type(error).__name__}: {error}")
        self._holds.learn(subscription, reason, self._clock.now())
        return self._holds.pause_seconds(subscription)

    async def _catch_up(self, claims: Sequence[Claim]) -> bool:
        """Whether the catalogue has all subscriptions of these claims that exist.

        Another process may have made one a moment ago: then its first event can be here before the news of it, and it
        must not be taken for a deleted one.
        """
        if all(self._catalogue.subscription(claim.delivery.subscription_id) is not None for claim in claims):
            return True
        try:
            await self._catalogue.refresh()
        except Unavailable as error:
            self._backoff.failed(error)
            return False
        return True


def groups_of(catalogue: Catalogue, sender: Sender, lane_id: str) -> Groups:
    """The tenant and the host of a lane. Those of a deleted subscription are nobody's: they send nothing."""
    subscription = catalogue.subscription(lane_id)
    if subscription is None:
        return Groups("", "")
    return Groups(subscription.tenant, sender.host(subscription))


def policy_of(catalogue: Catalogue, holds: Holds, lane_id: str) -> LanePolicy | None:
    """What may be claimed of a lane; None while its deliveries are held and nothing can be gained by trying one.

    Those of a deleted subscription are claimed too: nothing else would end them.
    """
    subscription = catalogue.subscription(lane_id)
    if subscription is None:
        # Newer than any revision of the subscription, and at no address: an open breaker, a pause or a rate that it had
        # bars nothing.
        return LanePolicy(DELETED_LANE_ROOM, revision=catalogue.version, address=_NOWHERE)
    if not subscription.spec.enabled or holds.misconfigured(subscription) is not None:
        # No claims are made for such a lane; that is all that `held` means. See docs/decisions/0005.
        return None
    room = 1 if holds.refused(subscription) is not None else subscription.spec.max_in_flight
    return LanePolicy(room, subscription.per_second, subscription.version, subscription.address)
