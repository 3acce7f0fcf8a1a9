"""Keeping claims for as long as they are worked on: a process that stops renewing them loses them to the others."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from hub.clock import Clock
from hub.dispatch.store_backoff import RETRY_SECONDS, StoreBackoff
from hub.errors import Unavailable
from hub.stores.base import Claim, Queue

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Renews the leases of the claims under way each time a third of their duration has passed.

    A lease is short, so that the work of a dead process is taken over soon; an attempt may take longer than a lease
    (see docs/decisions/0010).
    """

    def __init__(
        self, queue: Queue, clock: Clock, backoff: StoreBackoff, lease: float, under_way: Callable[[], Sequence[Claim]]
    ) -> None:
        """`lease` is the duration of a lease in seconds."""
        self._queue = queue
        self._clock = clock
        self._backoff = backoff
        self._under_way = under_way
        self._beating: asyncio.Task[None] | None = None
        self.lease = lease

    def start(self) -> None:
        """Beat until nothing is under way any more."""
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat(), name="heartbeat")

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            # Unlike awaiting the task, this raises nothing of what the task ended with.
            await asyncio.wait([self._beating])

    async def renew(self) -> None:
        """Renew all leases now. Raises `Unavailable`."""
        if claims := self._under_way():
            await self._queue.renew(claims, self.lease)

    async def _beat(self) -> None:
        wait = self.lease / 3
        while self._under_way():
            await self._clock.sleep(wait)
            wait = self.lease / 3
            try:
                await self.renew()
            except Unavailable as error:
                # The next beat could come too late: each try that fails uses up a third of the lease.
                wait = min(wait, RETRY_SECONDS)
                self._backoff.failed(error)
            except Exception:  # noqa: BLE001 - an unexpected error must not end the beating
                _log.exception("claim.renew_failed")
