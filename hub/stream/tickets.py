"""Tickets, which stand in for a key where a client cannot set headers, such as the browser's `EventSource`.

An `EventSource` comes back, after each break, to the address that it was opened with. So a ticket opens one stream, and
re-opens that one only. See docs/decisions/0018.
"""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from secrets import token_hex, token_urlsafe
from typing import Any

import orjson
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from hub.catalogue.keys.model import Principal, known_scopes
from hub.catalogue.keys.service import Keyring
from hub.clock import Clock
from hub.errors import Forbidden, Unauthorized, Unavailable
from hub.stores.base import Tickets
from hub.stores.unreadable import READ_ERRORS
from hub.stream.selection import Selection

OPENED_WITHIN = timedelta(seconds=60)
"""After it was issued."""
REOPENED_WITHIN = timedelta(minutes=10)
"""After its last connection ended."""
LIFETIME = timedelta(hours=12)
"""After it was issued."""
RENEW_SECONDS = 5.0
"""Between renewals of the tickets whose streams are open; also how long a connection may outlive a newer one that
another process has."""
_RENEWED_AT_ONCE = 500
_UNKNOWN = "The ticket is unknown or expired; get another from POST /v1/stream-tickets."
_NEWER = "The ticket cannot be read by this version of the hub; try again."
_OTHER_STREAM = (
    "This ticket re-opens only the stream that it opened first, with the same filters; get another for others."
)


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    text: str
    expires_at: datetime
    """It opens nothing after this instant, whatever was opened before."""


@dataclass(frozen=True, slots=True)
class _Kept(Principal):
    """What is kept of a ticket: its caller, as release 0.2.0 kept it, and what a stream that was opened adds."""

    issued_at: datetime | None = None
    stream: str = ""
    """The fingerprint of its selection, once the ticket was opened."""
    connection: str = ""
    """Sixteen random hexadecimal digits, so that of each connection something else is kept."""


_KEPT = TypeAdapter(_Kept)


def _read(kept: bytes) -> tuple[_Kept, dict[str, Any]]:
    """A ticket, and the document that it is kept as. Raises `READ_ERRORS`."""
    document = from_json(kept)
    return _KEPT.validate_python({**document, "scopes": known_scopes(document["scopes"])}), document


@dataclass(slots=True, eq=False)
class Connection:
    """One connection of a ticket's stream."""

    caller: Principal
    digest: str
    kept: bytes
    ends_at: datetime
    superseded: bool = False
    """Whether the ticket has a newer one."""


class StreamTickets:
    """Issues tickets, and opens streams with them.

    Example:

        from hub.stream import Selection

        ticket = await tickets.issue(principal)
        connection = await tickets.open(ticket.text, Selection())
        connection.caller == principal  # True
    """

    def __init__(self, tickets: Tickets, keys: Keyring, clock: Clock) -> None:
        self._tickets = tickets
        self._keys = keys
        self._clock = clock
        self._open: dict[str, Connection] = {}
        """The connections of this process, by the hash of their ticket."""

    async def issue(self, principal: Principal) -> IssuedTicket:
        """A ticket for this caller: 256 random bits, of which only a hash is kept."""
        text, now = token_urlsafe(32), self._clock.now()
        kept = _Kept(principal.key_id, principal.tenant, principal.scopes, issued_at=now)
        await self._tickets.put(_digest(text), _KEPT.dump_json(kept), OPENED_WITHIN.total_seconds())
        ends = now + LIFETIME
        return IssuedTicket(text, min(ends, self._keys.expires_at(principal) or ends))

    async def open(self, text: str, selection: Selection) -> Connection:
        """Open the stream of a ticket, or re-open it, which ends its former connection.

        Raises `Unauthorized` for a ticket that is unknown or expired or whose key is, `Forbidden` for one that has
        opened another stream, and `Unavailable`.
        """
        digest = _digest(text)
        while (former := await self._tickets.find(digest)) is not None:
            connection = self._next(digest, former, selection)
            # Another connection with the same ticket may come in between. The last one to come has the stream.
            if await self._tickets.replace(digest, former, connection.kept, REOPENED_WITHIN.total_seconds()):
                self._supersede(digest)
                return connection
        raise Unauthorized(_UNKNOWN)

    def _next(self, digest: str, former: bytes, selection: Selection) -> Connection:
        try:
            ticket, document = _read(former)
        except READ_ERRORS:
            # The same request may reach a process next that can read it.
            raise Unavailable(_NEWER, retry_after=1.0) from None
        now, stream = self._clock.now(), _fingerprint(selection)
        # A ticket of release 0.2.0 does not say when it was issued; that was less than a minute before it is opened.
        issued_at = ticket.issued_at or now
        if issued_at + LIFETIME <= now or not self._keys.is_valid(ticket):
            raise Unauthorized(_UNKNOWN)
        if ticket.stream not in ("", stream):
            raise Forbidden(_OTHER_STREAM)
        following = replace(ticket, issued_at=issued_at, stream=stream, connection=token_hex(8))
        # Over the document that was read, so that what only a newer version knows of it stays.
        kept = to_json({**document, **_KEPT.dump_python(following, mode="json", exclude={"scopes"})})
        caller = Principal(ticket.key_id, ticket.tenant, ticket.scopes)
        return Connection(caller, digest, kept, issued_at + LIFETIME)

    def is_current(self, connection: Connection) -> bool:
        """Whether this connection may go on."""
        if connection.superseded or self._clock.now() >= connection.ends_at:
            return False
        return self._keys.is_valid(connection.caller)

    async def hold(self, connection: Connection, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The chunks of a connection; the ticket lives on as long as these are read."""
        if not connection.superseded:
            self._open[connection.digest] = connection
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        finally:
            if self._open.get(connection.digest) is connection:
                del self._open[connection.digest]

    def _supersede(self, digest: str) -> None:
        if (older := self._open.pop(digest, None)) is not None:
            older.superseded = True

    async def renew(self) -> None:
        """Runs until cancelled: tickets whose streams are open live on, and a connection that another process has
        succeeded is told."""
        while True:
            await self._clock.sleep(RENEW_SECONDS)
            waiting = iter(list(self._open.values()))
            while some := list(islice(waiting, _RENEWED_AT_ONCE)):
                try:
                    await self._renew(some)
                except Unavailable:
                    # Tickets live for minutes without it, so the next round is soon enough.
                    break

    async def _renew(self, connections: list[Connection]) -> None:
        kept = {connection.digest: connection.kept for connection in connections}
        renewed = await self._tickets.extend(kept, REOPENED_WITHIN.total_seconds())
        for connection in connections:
            if connection.digest not in renewed and self._open.get(connection.digest) is connection:
                self._supersede(connection.digest)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fingerprint(selection: Selection) -> str:
    """The same for the same filters, in every process."""
    members = [selection.types, selection.event_id, selection.subscription_id, sorted(selection.statuses)]
    return hashlib.sha256(orjson.dumps(members)).hexdigest()
