"""The connections of all channels: made where the guard allows it, kept for a short time, and used again."""

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial

import httpx
from aiohappyeyeballs import AddrInfoType, start_connection

from channels.http.connection import Connection
from channels.http.guard import AddressRefused, Guard
from channels.http.resolver import LookupFailed, Resolver

KEEPALIVE_SECONDS = 4.0
"""Shorter than the five seconds after which many servers close an idle connection, which could hit a request. It is
also how long a permission of the guard lasts."""
NAME_SECONDS = 10.0
"""How long the addresses of a name are used before they are looked up again. The guard checks each of them again when
it connects."""
MAX_NAMES = 1_024
HAPPY_EYEBALLS_SECONDS = 0.25
"""How long one address is tried alone before the next is tried beside it (RFC 8305, section 8)."""

Origin = tuple[bytes, str, int]
"""Scheme, host and port."""


class NotConnected(httpx.ConnectError):
    """No connection was made, so nothing was sent. `permanent` says that the address itself is the reason."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Pool:
    """Connections by origin. It has no limit, because the caller limits the requests under way.

    Example:

        pool = Pool(Guard(), ssl.create_default_context())
        origin = (b"https", "example.com", 443)
        connection = pool.idle(origin) or await pool.connect(origin, 5.0)
        pool.keep(origin, connection)  # after one exchange
    """

    def __init__(self, guard: Guard, tls: ssl.SSLContext) -> None:
        self._guard = guard
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver(guard)
        self._names: dict[str, tuple[float, Sequence[AddrInfoType]]] = {}
        self._open: set[Connection] = set()
        # The connection used last is used first, so that the others can expire.
        self._idle: dict[Origin, list[Connection]] = {}
        self._reaper: asyncio.TimerHandle | None = None

    def idle(self, origin: Origin) -> Connection | None:
        """A connection to the origin that is open and not in use; it is the caller's from here on."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open and self._loop.time() - connection.idle_since < KEEPALIVE_SECONDS:
                return connection
            connection.close()
        return None

    def keep(self, origin: Origin, connection: Connection) -> None:
        """Take a connection back after an exchange; one that is closed is forgotten."""
        if connection.is_open:
            connection.idle_since = self._loop.time()
            self._idle.setdefault(origin, []).append(connection)
            if self._reaper is None:
                self._reaper = self._loop.call_later(KEEPALIVE_SECONDS, self._reap)

    async def connect(self, origin: Origin, seconds: float | None) -> Connection:
        """A new connection. Each step may take `seconds`, and the lookup with all steps twice as long.

        Raises `NotConnected` or `httpx.ConnectTimeout`.
        """
        scheme, host, port = origin
        try:
            async with asyncio.timeout(None if seconds is None else 2 * seconds):
                addresses = await self._addresses(host, port)
                async with asyncio.timeout(seconds):
                    return await self._connected(addresses, host if scheme == b"https" else None)
        except TimeoutError:
            raise httpx.ConnectTimeout("connecting, TLS included, took too long") from None
        except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError for some errors of sockets
            raise _not_connected(error, host) from None

    def close(self) -> None:
        """Close every connection, also those in use."""
        if self._reaper is not None:
            self._reaper.cancel()
        for connection in tuple(self._open):
            connection.close()

    async def _addresses(self, host: str, port: int) -> Sequence[AddrInfoType]:
        name = f"{host}:{port}"
        until, addresses = self._names.get(name, (0.0, ()))
        if until < self._loop.time():
            addresses = await self._resolver.resolve(host, port)
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            self._names[name] = self._loop.time() + NAME_SECONDS, addresses
        return addresses

    async def _connected(self, addresses: Sequence[AddrInfoType], tls_name: str | None) -> Connection:
        socket = await start_connection(
            addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS, socket_factory=self._guard.socket
        )
        _, connection = await self._loop.create_connection(
            partial(Connection, self._loop, self._open.discard),
            sock=socket,
            ssl=self._tls if tls_name is not None else None,
            # A name may end with the dot of the root, but names in certificates do not.
            server_hostname=tls_name.rstrip(".") if tls_name is not None else None,
        )
        self._open.add(connection)
        return connection

    def _reap(self) -> None:
        """Close what has been idle for too long; go on while something is idle."""
        self._reaper = None
        now = self._loop.time()
        for origin, idle in list(self._idle.items()):
            for connection in idle:
                if now - connection.idle_since >= KEEPALIVE_SECONDS:
                    connection.close()
            kept = [connection for connection in idle if connection.is_open]
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        if self._idle:
            self._reaper = self._loop.call_later(KEEPALIVE_SECONDS, self._reap)


def _not_connected(error: OSError | RuntimeError, host: str) -> NotConnected:
    """The error with a text that a person can act on, and that contains neither the URL nor an address."""
    match error:
        case ssl.SSLCertVerificationError():
            return NotConnected(f"the TLS certificate was not accepted: {error.verify_message or 'it does not verify'}")
        case ssl.SSLError():
            return NotConnected(f"TLS failed: {(error.reason or 'handshake failed').lower().replace('_', ' ')}")
        case AddressRefused():
            # A name may get another address later; a numeric address stays what it is.
            return NotConnected(str(error), permanent=":" in host or host.replace(".", "").isdigit())
        case LookupFailed():
            return NotConnected(str(error))
        case ConnectionRefusedError():
            return NotConnected("the connection was refused")
        case _:
            return NotConnected("no connection could be made")
