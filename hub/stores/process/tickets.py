"""Tickets that are issued and taken within one process."""

from datetime import datetime

from hub.clock import Clock
from hub.stores.base import Tickets


class ProcessTickets(Tickets):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, tuple[datetime, bytes]] = {}

    async def put(self, digest: str, holder: bytes, expires_at: datetime) -> None:
        self._forget_expired()
        self._open[digest] = expires_at, holder

    async def take(self, digest: str) -> bytes | None:
        expires_at, holder = self._open.pop(digest, (None, b""))
        return holder if expires_at is not None and expires_at > self._clock.now() else None

    def _forget_expired(self) -> None:
        """Oldest first, up to the first that is still good: all live about equally long."""
        now = self._clock.now()
        while self._open:
            digest, (expires_at, _) = next(iter(self._open.items()))
            if expires_at > now:
                return
            del self._open[digest]
