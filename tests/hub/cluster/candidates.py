"""Processes that would lead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from hub.cluster.leadership import Leadership
from hub.stores.process import ProcessLeases
from tests.clock import ManualClock


class Candidate:
    """A process that would lead; `terms` counts how often it has led."""

    def __init__(self, leases: ProcessLeases, name: str, clock: ManualClock) -> None:
        self.leadership = Leadership(leases, name, clock)
        self.terms = 0
        self.leading = False
        self._running = asyncio.create_task(self.leadership.run(self._lead))

    @asynccontextmanager
    async def _lead(self) -> AsyncIterator[None]:
        self.terms += 1
        self.leading = True
        try:
            yield
        finally:
            self.leading = False

    async def die(self) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running


@asynccontextmanager
async def two_candidates(leases: ProcessLeases, clock: ManualClock) -> AsyncIterator[list[Candidate]]:
    """Two, of which the first leads."""
    one = Candidate(leases, "one", clock)
    await clock.elapse(0)
    other = Candidate(leases, "other", clock)
    await clock.elapse(0)
    yield [one, other]
    await one.die()
    await other.die()
