"""Leases that one process holds at a time, for as long as it renews them: to lead, or only to show that it lives."""

from collections.abc import Collection
from typing import NoReturn

import structlog

from hub.clock import Clock
from hub.errors import Unavailable
from hub.stores.base import Leases

LEASE_SECONDS = 10.0
"""A lease that is not renewed for this long is free for others."""
# Two renewals in a row may fail before the lease runs out.
RENEW_SECONDS = 3.0
TRY_SECONDS = 1.0
WORKERS = "worker/"
PROCESSES = "process/"
"""Prefixes of the heartbeat leases: each process holds one under its own id, by which others see that it lives."""
_log = structlog.get_logger(__name__)


class Lease:
    """One named lease as one holder sees it: acquired, renewed, lost or released.

    Example:

        lease = Lease(store.leases, "scheduler", process_id, clock)
        token = await lease.acquire()
        await lease.lost()  # returns when another process may hold it
    """

    def __init__(self, leases: Leases, name: str, holder: str, clock: Clock) -> None:
        self.name = name
        self.token: int | None = None
        """The fencing token while this holder has the lease, as far as it knows."""
        self._leases = leases
        self._holder = holder
        self._clock = clock
        self._ends_at = 0.0

    async def take(self) -> int | None:
        """Try once to acquire or renew the lease; its fencing token, None while another holds it.

        Raises `Unavailable`.
        """
        # Counted from before the request: the store may have granted the lease long before its answer is here.
        asked_at = self._clock.monotonic()
        self.token = await self._leases.acquire(self.name, self._holder, LEASE_SECONDS)
        self._ends_at = asked_at + LEASE_SECONDS
        return self.token

    async def acquire(self) -> int:
        """Wait until the lease is acquired; its fencing token."""
        while True:
            try:
                if (token := await self.take()) is not None:
                    return token
            except Unavailable as error:
                _log.warning("lease.acquire_failed", lease=self.name, reason=error.detail)
            await self._clock.sleep(TRY_SECONDS)

    async def lost(self) -> None:
        """Renew the lease, and return when another has it, or when it may have run out unrenewed."""
        token = self.token
        while True:
            left = self._ends_at - self._clock.monotonic()
            await self._clock.sleep(min(RENEW_SECONDS, max(left, 0.0)))
            try:
                # Another token means that the lease ran out in between: another process may have held it meanwhile.
                if await self.take() != token:
                    return
            except Unavailable as error:
                _log.warning("lease.renew_failed", lease=self.name, reason=error.detail)
                # Until then no other process can have it, so an outage that is shorter than the lease changes nothing.
                if self._clock.monotonic() >= self._ends_at:
                    self.token = None
                    return

    async def hold(self) -> NoReturn:
        """Acquire the lease again whenever it is lost, until cancelled."""
        while True:
            await self.acquire()
            await self.lost()

    async def release(self) -> None:
        """Give the lease back, so that others need not wait until it runs out. Does nothing if another holds it."""
        self.token = None
        try:
            await self._leases.release(self.name, self._holder)
        except Unavailable as error:
            _log.warning("lease.release_failed", lease=self.name, reason=error.detail)


def heartbeat_lease(leases: Leases, kind: str, process_id: str, clock: Clock) -> Lease:
    """The lease by which others see that this process lives; `kind` is `PROCESSES` or `WORKERS`."""
    return Lease(leases, kind + process_id, process_id, clock)


async def live_processes(leases: Leases, process_ids: Collection[str]) -> frozenset[str]:
    """Those of these processes that hold their heartbeat lease."""
    held = await leases.held([PROCESSES + process_id for process_id in process_ids])
    return frozenset(name.removeprefix(PROCESSES) for name in held)
