"""Keeping claims for as long as they are worked on: whoever stops renewing them, dead or cut off, loses them."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from hub.clock import Clock
from hub.dispatch.store_backoff import RETRY_SECONDS, StoreBackoff
from hub.errors import Unavailable
from hub.stores.base import Claim, Queue

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Renews the leases of what is under way, each third of their time, while anything is."""

    def __init__(
        self, queue: Queue, clock: Clock, trouble: StoreBackoff, lease: float, under_way: Callable[[], Sequence[Claim]]
    ) -> None:
        """`lease` is how many seconds a lease lasts."""
        self._queue = queue
        self._clock = clock
        self._trouble = trouble
        self._under_way = under_way
        self._beating: asyncio.Task[None] | None = None
        self.lease = lease

    def start(self) -> None:
        """Something is under way."""
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat(), name="heartbeat")

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])

    async def renew(self) -> None:
        """Raises `Unavailable`."""
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
                wait = min(wait, RETRY_SECONDS)
                self._trouble.note(error)
            except Exception:  # noqa: BLE001 - a beat that fails as nobody foresaw must not be the last
                _log.exception("leases not renewed")
