"""The front of dispatch: it connects the three parts, and is all that the rest of the process sees of them.

To follow one delivery, read downward: `Fetcher` claims it, `Attempter` sends it, `Recorder` writes what became of it.
See docs/decisions/0015.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from random import Random
from typing import Final

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions.service import Subscriptions
from hub.clock import Clock
from hub.dispatch.attempting import Attempter
from hub.dispatch.fetching import Fetcher, groups_of, policy_of
from hub.dispatch.heartbeat import Heartbeat
from hub.dispatch.lanes import Lanes
from hub.dispatch.recording import Recorder
from hub.dispatch.sender import Sender
from hub.dispatch.store_backoff import StoreBackoff
from hub.failpoints import Failpoint
from hub.stores.base import Queue
from hub.telemetry.metrics import Metrics

LEASE_SECONDS: Final = 30.0
SWEEP_LIMIT: Final = 100
"""How many deliveries are taken over at a time. With its attempt and its entries of the feed each is four rows."""
EXPIRED_LIMIT: Final = 100
"""How many deliveries end in one write because they have expired."""
EXPIRED_STEPS: Final = 20
"""How many such writes a sweep makes at most; the next one goes on."""


class Dispatcher:
    """Moves deliveries from due to their next state, from `run` until `stop`.

    Example:

        import asyncio

        await dispatcher.sweep(all_owners=True)
        running = asyncio.create_task(dispatcher.run())
        dispatcher.notify({"sub_1": None})
        await dispatcher.stop(grace=20.0)
    """

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
        time_of_day: Callable[[], datetime],
        lease: float = LEASE_SECONDS,
    ) -> None:
        """`time_of_day` says whether an event has expired; `lease` is for how many seconds a claim is this process's
        own, unless it renews it."""
        self._queue = queue
        self._time_of_day = time_of_day
        self._backoff = backoff = StoreBackoff(clock)
        policy, groups = partial(policy_of, catalogue, sender.holds), partial(groups_of, catalogue, sender)
        self.lanes = lanes = Lanes(max_in_flight, policy, clock, groups)
        self._recorder = Recorder(queue, catalogue, subscriptions, clock, metrics, random, backoff, notify=lanes.notify)
        self._attempter = Attempter(
            sender,
            catalogue,
            clock,
            self._recorder,
            on_end=lanes.end_attempt,
            timeout=attempt_timeout,
            failpoint=failpoint,
            time_of_day=time_of_day,
        )
        self._heartbeat = Heartbeat(queue, clock, backoff, lease, self._attempter.claims)
        self._fetcher = Fetcher(queue, catalogue, clock, lanes, sender.holds, self._attempter, self._heartbeat, backoff)
        # A lane that is held or barred is looked at again as soon as its subscription changes, in whatever process that
        # was.
        catalogue.watch(lanes.refresh)

    @property
    def stalled_seconds(self) -> float:
        """For how long nothing was claimed although something could be."""
        return self._fetcher.stalled_seconds

    async def run(self) -> None:
        """Dispatch until `stop_claiming` or `stop`."""
        await self._fetcher.run()

    def notify(self, due: Mapping[str, datetime | None]) -> None:
        """Deliveries of these lanes are due at these instants (None: now)."""
        for lane, due_at in due.items():
            self.lanes.notify(lane, due_at)

    def stop_claiming(self) -> None:
        """Start nothing new; `run` returns."""
        self._fetcher.stop()
        self._attempter.stop_sending()

    async def stop(self, grace: float) -> None:
        """Let attempts under way go on for `grace` seconds, then end them with the outcome unknown."""
        self.stop_claiming()
        # What the store gives now has to be given back, or nothing would try it before its lease runs out.
        await self._fetcher.finish_claim()
        await self._attempter.stop(grace)
        # Last, because attempts that use their grace, and results that wait for the store, still need their leases.
        await self._heartbeat.stop()

    async def sweep(self, *, all_owners: bool = False) -> int:
        """Record attempts that a dead process left behind as unknown, end what has expired, and look for due work that
        no signal announced.

        Gives how many attempts there were. `all_owners` ends every lease, run out or not: right when no other process
        can be alive. Raises `Unavailable`.
        """
        # First its own: what it could not renew while the store was away is still worked on here.
        await self._heartbeat.renew()
        # While the store was away nobody could renew, so a lease that ran out does not prove that its process is dead.
        taken_over = 0 if self._backoff.recovering else await self._take_over(all_owners)
        await self._end_expired()
        self.lanes.prune()
        self.notify(await self._queue.due())
        return taken_over

    async def _end_expired(self) -> None:
        """End what has expired while it waits. Claims end it as well, but make none in a lane that is held."""
        for _ in range(EXPIRED_STEPS):
            expired = await self._queue.expired(self._time_of_day(), EXPIRED_LIMIT)
            if expired:
                await self._recorder.record_expired(expired)
            await self._recorder.record_expired(expired)
            if len(expired) < EXPIRED_LIMIT:
                break

    async def _take_over(self, all_owners: bool) -> int:
        taken_over = 0
        # Page by page: what is taken over has a lease of a minute, and has to be recorded within it.
        while claims := await self._queue.reclaim(SWEEP_LIMIT, all_owners=all_owners):
            await self._recorder.record_lost(claims)
            taken_over += len(claims)
            if len(claims) < SWEEP_LIMIT:
                break
        return taken_over
