"""Name lookups on their own threads, so that a silent name server delays nothing else."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from ipaddress import IPv6Address, ip_address
from itertools import islice

from aiohappyeyeballs import AddrInfoType

from channels.base import SENDING_FOR
from channels.http.guard import AddressRefused, Guard
from channels.http.turns import Turns

LOOKUP_TIMEOUT_SECONDS = 3.0
MAX_LOOKUPS = 256
"""How many threads may wait for name servers at once. A thread may outlast the timeout of its lookup, because only the
C library's own timeout ends it."""
TENANT_LOOKUPS = 64
"""How many of them may be for one tenant, whose names a name server may leave without an answer."""
MAX_ADDRESSES = 8

Addresses = dict[str, int]
"""Numeric addresses, each with its family."""


class LookupFailed(OSError):
    """The name has no address, or none in time. Names change, so a later attempt may succeed."""


class Resolver:
    """`getaddrinfo` with a timeout and a guard: one refused address refuses the whole name.

    Lookups of the same name at the same time share one thread. Those of a tenant (`SENDING_FOR`) wait in turn for one,
    without a timeout of their own. The threads are daemons, so that a lookup never delays the end of the process.
    """

    def __init__(self, guard: Guard, timeout: float = LOOKUP_TIMEOUT_SECONDS) -> None:
        self._guard = guard
        self._timeout = timeout
        self._turns = Turns(MAX_LOOKUPS, TENANT_LOOKUPS)
        self._under_way: dict[str, asyncio.Future[Addresses]] = {}

    async def resolve(self, host: str, port: int = 0) -> Sequence[AddrInfoType]:
        """At most eight addresses of `host`, all of them allowed. Raises `LookupFailed` or `AddressRefused`."""
        return [_info(address, family, port) for address, family in (await self._addresses(host)).items()]

    async def _addresses(self, host: str) -> Addresses:
        if (family := _family_of(host)) is not None:
            addresses: Addresses = {host: family}
        else:
            addresses = await self._looked_up(host)
        if not all(map(self._guard.allows, addresses)):
            raise AddressRefused
        return dict(islice(addresses.items(), MAX_ADDRESSES))

    async def _looked_up(self, host: str) -> Addresses:
        lookup = self._under_way.get(host) or await self._begin(host, SENDING_FOR.get())
        try:
            async with asyncio.timeout(self._timeout):
                # Shielded, because others may wait for the same lookup when this caller gives up.
                addresses = await asyncio.shield(lookup)
        except TimeoutError:
            raise LookupFailed("the host's name was not resolved in time") from None
        except (socket.gaierror, UnicodeError):
            raise LookupFailed("the host's name does not resolve") from None
        if not addresses:
            raise LookupFailed("the host's name has no address")
        return addresses

    async def _begin(self, host: str, tenant: str) -> asyncio.Future[Addresses]:
        await self._turns.take(tenant)
        if (begun := self._under_way.get(host)) is not None:
            self._turns.give_back(tenant)
            return begun
        outcome: Future[Addresses] = Future()
        threading.Thread(target=_look_up, args=(host, outcome), name="resolve", daemon=True).start()
        answer = asyncio.wrap_future(outcome)
        self._under_way[host] = answer
        answer.add_done_callback(lambda done: self._end(host, tenant, done))
        return answer

    def _end(self, host: str, tenant: str, answer: asyncio.Future[Addresses]) -> None:
        del self._under_way[host]
        self._turns.give_back(tenant)
        # All callers may have given up by now, and asyncio logs an exception that nobody has retrieved.
        answer.exception()


def _family_of(host: str) -> socket.AddressFamily | None:
    """The family of an address in its usual spelling, which needs no lookup."""
    try:
        return socket.AF_INET6 if isinstance(ip_address(host), IPv6Address) else socket.AF_INET
    except ValueError:
        return None


def _info(address: str, family: int, port: int) -> AddrInfoType:
    place = (address, port, 0, 0) if family == socket.AF_INET6 else (address, port)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place


def _look_up(host: str, outcome: Future[Addresses]) -> None:
    outcome.set_running_or_notify_cancel()
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        outcome.set_result({str(sockaddr[0]): family for family, _, _, _, sockaddr in answers})
    except Exception as error:  # noqa: BLE001 - raised where the outcome is awaited
        outcome.set_exception(error)
