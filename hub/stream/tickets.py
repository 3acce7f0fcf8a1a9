"""Tickets: what stands in for a key where a client cannot set headers, as the browser's `EventSource` cannot."""

import hashlib
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from secrets import token_urlsafe

from hub.clock import Clock
from hub.errors import Unauthorized
from hub.keys import Principal

LIFETIME = timedelta(seconds=60)


class Tickets(ABC):
    """Where open tickets are kept, by the hash of their text; shared by all processes that answer requests."""

    @abstractmethod
    async def put(self, digest: str, principal: Principal, expires_at: datetime) -> None: ...

    @abstractmethod
    async def take(self, digest: str) -> Principal | None:
        """Whose ticket this is, and forget it, as one step; None if it is unknown, taken or expired."""


class MemoryTickets(Tickets):
    """Tickets of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, tuple[datetime, Principal]] = {}

    async def put(self, digest: str, principal: Principal, expires_at: datetime) -> None:
        self._forget_expired()
        self._open[digest] = (expires_at, principal)

    async def take(self, digest: str) -> Principal | None:
        self._forget_expired()
        _, principal = self._open.pop(digest, (None, None))
        return principal

    def _forget_expired(self) -> None:
        """Oldest first, and all live equally long, so this stops at the first one that is still good."""
        now = self._clock.now()
        while self._open:
            digest, (expires_at, _) = next(iter(self._open.items()))
            if expires_at > now:
                return
            del self._open[digest]


class TicketOffice:
    """Issues tickets, each good for one connection within a minute."""

    def __init__(self, tickets: Tickets, clock: Clock) -> None:
        self._tickets = tickets
        self._clock = clock

    async def issue(self, principal: Principal) -> str:
        """A ticket that stands for this caller: 256 random bits, of which only a hash is kept."""
        text = token_urlsafe(32)
        await self._tickets.put(_digest(text), principal, self._clock.now() + LIFETIME)
        return text

    async def redeem(self, text: str) -> Principal:
        """Who the ticket was issued to. Raises `Unauthorized` when it was used before or is older than a minute."""
        principal = await self._tickets.take(_digest(text))
        if principal is None:
            raise Unauthorized("The ticket is unknown, used or expired; get another from POST /v1/stream-tickets.")
        return principal


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
