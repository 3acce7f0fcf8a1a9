"""Rights that one process has at a time, for as long as it renews them: to lead, or merely to be known as alive."""

from collections.abc import Collection
from typing import NoReturn

import structlog

from hub.clock import Clock
from hub.errors import Unavailable
from hub.stores.base import Leases

LEASE_SECONDS = 10.0
"""After so long without a sign of life a right is anybody's."""
RENEW_SECONDS = 3.0
TRY_SECONDS = 1.0
WORKERS = "worker/"
PROCESSES = "process/"
"""What the names of the rights begin with that nobody else wants, by which a process shows that it is alive."""
_log = structlog.get_logger(__name__)


class Lease:
    """One right, as one holder sees it: tried for, renewed, lost or given back."""

    def __init__(self, leases: Leases, name: str, holder: str, clock: Clock) -> None:
        self.name = name
        self.token: int | None = None
        """The fencing token while the right is ours, as far as is known."""
        self._leases = leases
        self._holder = holder
        self._clock = clock
        self._ends_at = 0.0

    async def take(self) -> int | None:
        """Take the right or renew it, now; its fencing token, None while another holds it. Raises `Unavailable`."""
        asked_at = self._clock.monotonic()
        self.token = await self._leases.acquire(self.name, self._holder, LEASE_SECONDS)
        self._ends_at = asked_at + LEASE_SECONDS
        return self.token

    async def acquire(self) -> int:
        """Its fencing token, once it is ours."""
        while True:
            try:
                if (token := await self.take()) is not None:
                    return token
            except Unavailable as error:
                _log.warning("a right cannot be asked for", right=self.name, reason=error.detail)
            await self._clock.sleep(TRY_SECONDS)

    async def lost(self) -> None:
        """Renew the right, and return when it is ours no more, or when that cannot be known any longer."""
        token = self.token
        while True:
            left = self._ends_at - self._clock.monotonic()
            await self._clock.sleep(min(RENEW_SECONDS, max(left, 0.0)))
            try:
                if await self.take() != token:
                    return
            except Unavailable as error:
                _log.warning("a right cannot be renewed", right=self.name, reason=error.detail)
                if self._clock.monotonic() >= self._ends_at:
                    self.token = None
                    return

    async def hold(self) -> NoReturn:
        """Have it whenever that is possible, until cancelled."""
        while True:
            await self.acquire()
            await self.lost()

    async def release(self) -> None:
        """Give it back, so that another need not wait for it to run out. Nothing happens where it is not ours."""
        self.token = None
        try:
            await self._leases.release(self.name, self._holder)
        except Unavailable as error:
            _log.warning("a right was not given back and runs out by itself", right=self.name, reason=error.detail)


def heartbeat_lease(leases: Leases, kind: str, process_id: str, clock: Clock) -> Lease:
    """The right by which others know that this process is alive; `kind` is one of those above."""
    return Lease(leases, kind + process_id, process_id, clock)


async def live_processes(leases: Leases, process_ids: Collection[str]) -> frozenset[str]:
    """Which of these processes are known to be alive."""
    held = await leases.held([PROCESSES + process_id for process_id in process_ids])
    return frozenset(name.removeprefix(PROCESSES) for name in held)
