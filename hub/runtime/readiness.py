"""Whether this process can do its work, and what is wrong elsewhere in the hub although it can."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from hub.cluster.follower import STALE_SECONDS, Follower
from hub.cluster.leadership import LEADER
from hub.cluster.lease import WORKERS
from hub.cluster.roles import Role
from hub.maintenance.clock_watch import ClockWatch
from hub.stores.base import Leases, Upkeep

_NO_WORKER = "No worker is alive: events are accepted and wait. Start `hub worker`."
_NO_SCHEDULER = "No scheduler leads: nothing old is removed. Start `hub scheduler`."
_STALE = "The catalogue could not be read for a while, so keys may be out of date. Check the connection to the store."
_STALLED = "Deliveries are due, and for {seconds:.0f} s none could be claimed. The log says why."
STALLED_SECONDS: Final = 30.0
"""How long nothing may be claimed although something is due."""


class Readiness:
    """What `/readyz` answers with. `stopping` is set when the process is told to end."""

    def __init__(
        self,
        upkeep: Upkeep,
        leases: Leases,
        follower: Follower,
        roles: Collection[Role],
        clock_watch: ClockWatch,
        catalogue: Callable[[], Sequence[str]],
        stalled_seconds: Callable[[], float],
    ) -> None:
        """`catalogue` gives a sentence for each thing in it that an operator should know; `stalled_seconds` is for how
        long this process has claimed nothing although it could."""
        self.stopping = False
        self._upkeep = upkeep
        self._leases = leases
        self._follower = follower
        self._roles = frozenset(roles)
        self._clock_watch = clock_watch
        self._catalogue = catalogue
        self._stalled_seconds = stalled_seconds

    async def reasons(self) -> Sequence[str]:
        """Why this process is not ready, each a sentence that says what to do; empty when it is ready.

        Raises `Unavailable`.
        """
        reasons = [*await self._upkeep.check()]
        if self._follower.behind_seconds > STALE_SECONDS:
            reasons.append(_STALE)
        if (seconds := self._stalled_seconds()) > STALLED_SECONDS:
            reasons.append(_STALLED.format(seconds=seconds))
        if self.stopping:
            reasons.append("The hub is stopping.")
        return reasons

    async def warnings(self) -> Sequence[str]:
        """What an operator should know although this process is ready. Raises `Unavailable`."""
        # A process looks only for what it does not do itself: a worker that answers is proof enough of a worker.
        warnings = [*await self._upkeep.losses()]
        if Role.WORKER not in self._roles and not await self._leases.held_under(WORKERS):
            warnings.append(_NO_WORKER)
        if Role.SCHEDULER not in self._roles and not await self._leases.held({LEADER}):
            warnings.append(_NO_SCHEDULER)
        if (reason := await self._clock_watch.reason()) is not None:
            warnings.append(reason)
        return [*warnings, *self._catalogue()]
