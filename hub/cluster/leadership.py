"""Which of the schedulers fires the hub's schedules: the one that holds the lease to lead."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

import structlog

from hub.clock import Clock
from hub.cluster.lease import Lease
from hub.stores.base import Leases

LEADER = "scheduler"
"""The name of the lease."""
_log = structlog.get_logger(__name__)


class Leadership:
    """One process's part in the election of the leader.

    Example:

        leadership = Leadership(store.leases, process_id, clock)
        await leadership.run(housekeeping.lead)

    `token` fences what the process writes while it leads; it is None while it does not lead.
    """

    def __init__(self, leases: Leases, process_id: str, clock: Clock) -> None:
        self.token: int | None = None
        self._lease = Lease(leases, LEADER, process_id, clock)

    async def run(self, lead: Callable[[], AbstractAsyncContextManager[None]]) -> NoReturn:
        """Enter the context `lead` whenever this process holds the lease, and leave it when the lease is lost."""
        while True:
            token = self.token = await self._lease.acquire()
            _log.info("leadership.acquired", token=token)
            try:
                # Leaving this block cancels the leader's jobs. The record of a run that ends too late is fenced.
                async with lead():
                    await self._lease.lost()
            finally:
                self.token = None
                _log.info("leadership.lost", token=token)

    async def confirm(self) -> int | None:
        """The token if the store says that this process leads at this moment. Raises `Unavailable`.

        What the process itself believes is not enough: one that was frozen does not know that its lease has run out.
        """
        token = self.token
        return token if token is not None and await self._lease.take() == token else None

    async def resign(self) -> None:
        """Let another process lead at once. Call it after `run` has ended."""
        await self._lease.release()
