"""Tickets, which stand in for a key where a client cannot set headers, such as the browser's `EventSource`."""

import hashlib
from datetime import timedelta
from secrets import token_urlsafe

from pydantic import TypeAdapter

from hub.catalogue.keys.model import Principal
from hub.clock import Clock
from hub.errors import Unauthorized
from hub.stores.base import Tickets

LIFETIME = timedelta(seconds=60)
_PRINCIPAL = TypeAdapter(Principal)


class StreamTickets:
    """Issues tickets, each good for one connection within a minute.

    Example:

        ticket = await tickets.issue(principal)
        await tickets.redeem(ticket) == principal  # True
    """

    def __init__(self, tickets: Tickets, clock: Clock) -> None:
        self._tickets = tickets
        self._clock = clock

    async def issue(self, principal: Principal) -> str:
        """A ticket for this caller: 256 random bits, of which only a hash is kept."""
        text = token_urlsafe(32)
        await self._tickets.put(_digest(text), _PRINCIPAL.dump_json(principal), self._clock.now() + LIFETIME)
        return text

    async def redeem(self, text: str) -> Principal:
        """The caller to whom the ticket was issued.

        Raises `Unauthorized` for one that is unknown, used, or over a minute old.
        """
        # Read and removed in one step, so that of two connections with the same ticket one is refused.
        holder = await self._tickets.take(_digest(text))
        if holder is None:
            raise Unauthorized("The ticket is unknown, used or expired; get another from POST /v1/stream-tickets.")
        return _PRINCIPAL.validate_json(holder)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
