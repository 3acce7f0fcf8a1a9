"""Moving a hub: everything of one store into another that is empty, piece by piece, as often interrupted as it may be.

How far it came is kept in the destination, with each piece; so is, in the place of the counters' end, what the source
was like when the copy began, and at the very end that it is whole.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from secrets import token_hex
from typing import Final, TypeVar

from hub.clock import Clock
from hub.cluster.lease import PROCESSES
from hub.errors import Conflict, HubError, Unavailable
from hub.stores import open_store
from hub.stores.base import Piece, Section, Store

T = TypeVar("T")
Told = Callable[[str, int, int], None]
"""Hears of a section, how many of it are in the destination, and how many there are."""

DOCUMENTS: Final = 500
"""A piece has so many at most; fewer where they are big."""
RIGHT: Final = "copy"
LEASE_SECONDS: Final = 15.0
WATCH_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 60.0
"""How long a store may be in trouble before the copy gives up."""
_WHOLE: Final = "whole"

_MOVED: Final = tuple(section for section in Section if section is not Section.COUNTERS)
_HALF: Final = (
    "This store is an unfinished copy of another: run `hub store copy` again, which goes on from where it stopped, or"
    " point HUB_STORE_URL at another store."
)
_IN_COPY: Final = "Everything in this store is being copied; wait until that is done, and start the hub on the copy."


async def refuse_half_copied(store: Store) -> None:
    """Raises `HubError` where a hub must not begin to work, because a copy from or into the store is not done."""
    await _refuse_half(store)
    if await store.leases.held({RIGHT}):
        raise HubError(_IN_COPY)


async def _refuse_half(store: Store) -> None:
    reached = await store.transfer.reached()
    if reached and reached.get(Section.FEED) != _WHOLE:
        raise HubError(_HALF)


async def copy(source_url: str, destination_url: str, clock: Clock, told: Told) -> Mapping[str, int]:
    """Copy all that the source holds, or go on where an earlier copy stopped; gives how many there are of everything.

    `told` hears after each piece. Raises `HubError` where nothing may be copied, saying why, or when the counts differ
    at the end, and `Unavailable` when a store was in trouble for long.
    """
    async with open_store(source_url, clock) as source, open_store(destination_url, clock) as destination:
        return await Copy(source, destination, clock, told).run()


class Copy:
    """One run of a copy between two open stores."""

    def __init__(self, source: Store, destination: Store, clock: Clock, told: Told) -> None:
        self._stores = {"source": source, "destination": destination}
        self._source = source.transfer
        self._destination = destination.transfer
        self._clock = clock
        self._told = told
        self._holder = token_hex(8)
        self._watched_at = 0.0

    async def run(self) -> Mapping[str, int]:
        await _refuse_half(self._stores["source"])
        try:
            await self._patiently(self._watch)
            return await self._copy()
        finally:
            for store in self._stores.values():
                with suppress(Unavailable):
                    await store.leases.release(RIGHT, self._holder)

    async def _copy(self) -> Mapping[str, int]:
        wanted, there = await self._source.totals(), await self._destination.totals()
        reached, mark = await self._destination.reached(), await self._mark(wanted)
        if reached.get(Section.FEED) == _WHOLE and (reached[Section.COUNTERS], there) == (mark, wanted):
            return there
        _refuse(wanted, there, reached, mark)
        if not reached:
            counters = await self._source.read(Section.COUNTERS, "", 1)
            await self._destination.write(Section.COUNTERS, Piece(counters.documents, mark))
        for section in _MOVED:
            await self._move(section, reached.get(section, ""), there[section], wanted[section])
        return await self._end(wanted)

    async def _mark(self, totals: Mapping[str, int]) -> str:
        """What the source is like, in short."""
        (counters,) = (await self._source.read(Section.COUNTERS, "", 1)).documents
        counts = sorted(f"{name} {count}" for name, count in totals.items())
        return sha256("\n".join(counts).encode() + counters).hexdigest()

    async def _move(self, section: Section, after: str, done: int, total: int) -> None:
        """One section, from a place on, of which so many are done; the next piece is read while one is written."""

        def read(place: str) -> Awaitable[Piece]:
            return self._patiently(lambda: self._source.read(section, place, DOCUMENTS))

        self._told(section, done, total)
        piece = await read(after)
        while piece.documents:
            if self._clock.monotonic() - self._watched_at > WATCH_SECONDS:
                await self._patiently(self._watch)
            write = partial(self._destination.write, section, piece)
            following, _ = await asyncio.gather(read(piece.after), self._patiently(write))
            done += piece.count
            self._told(section, done, total)
            piece = following

    async def _end(self, wanted: Mapping[str, int]) -> Mapping[str, int]:
        await self._watch()
        there = await self._destination.totals()
        if there != wanted:
            differences = (
                f"{there[name]:,} of {wanted[name]:,} {name}" for name in wanted if there[name] != wanted[name]
            )
            raise HubError(f"The copy is not whole: the destination has {', '.join(differences)}.")
        await self._destination.write(Section.FEED, Piece((), _WHOLE))
        return there

    async def _watch(self) -> None:
        """Make sure that nobody else works on either store, now and for a while."""
        for role, store in self._stores.items():
            if await store.leases.acquire(RIGHT, self._holder, LEASE_SECONDS) is None:
                # One that was killed holds its right for some seconds more, which patience outlasts.
                raise Unavailable(f"Another copy from or into the {role} is under way; let it end.", retry_after=1.0)
            if await store.leases.held_under(PROCESSES):
                raise Conflict(f"A hub runs on the {role}: stop every process of it, and then copy.")
        self._watched_at = self._clock.monotonic()

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """What a call gives that may be made again, once the store is out of trouble."""
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await call()
            except Unavailable as trouble:
                if self._clock.monotonic() > deadline:
                    raise
                await self._clock.sleep(min(trouble.retry_after or 1.0, 5.0))


def _refuse(wanted: Mapping[str, int], there: Mapping[str, int], reached: Mapping[Section, str], mark: str) -> None:
    """Raise `Conflict` where the copy would mix what is the source's with what is not."""
    if not any(wanted.values()):
        raise Conflict("The source holds nothing; is its address right?")
    if not reached and any(there.values()):
        held = ", ".join(f"{count:,} {name}" for name, count in there.items() if count)
        raise Conflict(
            f"The destination is not empty ({held}). Give it an empty store; in Redis another ?prefix= is one."
        )
    if reached.get(Section.FEED) == _WHOLE:
        raise Conflict(
            "The destination was copied before, and one of the two stores was used since. Give it an empty store."
        )
    if reached and reached.get(Section.COUNTERS) != mark:
        raise Conflict(
            "The source is not what it was when this copy began: a hub has used it since, or it is another one. Begin"
            " again with an empty destination."
        )
