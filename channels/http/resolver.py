"""Name lookups on their own threads, so that a silent name server delays nothing else."""

import asyncio
import socket
import threading
from concurrent.futures import Future
from itertools import islice

from aiohttp.abc import AbstractResolver, ResolveResult

from channels.http.guard import AddressRefused, Guard

LOOKUP_TIMEOUT_SECONDS = 3.0
MAX_LOOKUPS = 128
"""How many threads may wait for name servers at once. A thread may outlast the timeout of its lookup, because only the
C library's own timeout ends it."""
MAX_ADDRESSES = 8

Addresses = dict[str, int]
"""Numeric addresses, each with its family."""


class LookupFailed(OSError):
    """The name has no address, or none in time. Names change, so a later attempt may succeed."""


class Resolver(AbstractResolver):
    """`getaddrinfo` with a timeout and a guard: one refused address refuses the whole name.

    Lookups of the same name at the same time share one thread. The threads are daemons, so that a lookup never delays
    the end of the process.
    """

    def __init__(self, guard: Guard, timeout: float = LOOKUP_TIMEOUT_SECONDS) -> None:
        self._guard = guard
        self._timeout = timeout
        self._under_way: dict[str, asyncio.Future[Addresses]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """At most eight addresses of `host`, all of them allowed. Raises `LookupFailed` or `AddressRefused`."""
        try:
            async with asyncio.timeout(self._timeout):
                # Shielded, because others may wait for the same lookup when this caller gives up.
                addresses = await asyncio.shield(self._under_way.get(host) or self._begin(host))
        except TimeoutError:
            raise LookupFailed("the host's name was not resolved in time") from None
        except (socket.gaierror, UnicodeError):
            raise LookupFailed("the host's name does not resolve") from None
        if not addresses:
            raise LookupFailed("the host's name has no address")
        if not all(map(self._guard.allows, addresses)):
            raise AddressRefused
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kin, proto=0, flags=numeric)
            for address, kin in islice(addresses.items(), MAX_ADDRESSES)
        ]

    async def close(self) -> None:
        """Nothing to close: the threads end by themselves."""

    def _begin(self, host: str) -> asyncio.Future[Addresses]:
        if len(self._under_way) >= MAX_LOOKUPS:
            raise LookupFailed("too many name lookups are under way")
        outcome: Future[Addresses] = Future()
        threading.Thread(target=_look_up, args=(host, outcome), name="resolve", daemon=True).start()
        answer = asyncio.wrap_future(outcome)
        self._under_way[host] = answer
        answer.add_done_callback(lambda done: self._end(host, done))
        return answer

    def _end(self, host: str, answer: asyncio.Future[Addresses]) -> None:
        del self._under_way[host]
        # All callers may have given up by now, and asyncio logs an exception that nobody has retrieved.
        answer.exception()


def _look_up(host: str, outcome: Future[Addresses]) -> None:
    outcome.set_running_or_notify_cancel()
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        outcome.set_result({str(sockaddr[0]): family for family, _, _, _, sockaddr in answers})
    except Exception as error:  # noqa: BLE001 - raised where the outcome is awaited
        outcome.set_exception(error)
