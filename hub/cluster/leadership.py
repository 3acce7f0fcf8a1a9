"""Which of the processes that could fire the hub's schedules does: the one that has the right to lead."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

import structlog

from hub.clock import Clock
from hub.cluster.lease import Lease
from hub.stores.base import Leases

LEADER = "scheduler"
"""The name of the right."""
_log = structlog.get_logger(__name__)


class Leadership:
    """One process's part in it. `token` fences what it does while it leads, and is None while it does not."""

    def __init__(self, leases: Leases, process_id: str, clock: Clock) -> None:
        self.token: int | None = None
        self._lease = Lease(leases, LEADER, process_id, clock)

    async def run(self, lead: Callable[[], AbstractAsyncContextManager[None]]) -> NoReturn:
        """Reign whenever the right to lead is ours, until cancelled."""
        while True:
            token = self.token = await self._lease.acquire()
            _log.info("leadership.acquired", token=token)
            try:
                async with lead():
                    await self._lease.lost()
            finally:
                self.token = None
                _log.info("leadership.lost", token=token)

    async def confirm(self) -> int | None:
        """The token if this process leads at this moment, by the store's word and not by its own: a process that was
        frozen cannot know otherwise. Raises `Unavailable`."""
        token = self.token
        return token if token is not None and await self._lease.take() == token else None

    async def resign(self) -> None:
        """Let another lead at once. To be called when `run` has ended."""
        await self._lease.release()
