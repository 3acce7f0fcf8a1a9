"""Copying everything of one store into another that is empty, piece by piece; an interrupted copy is continued.

The destination keeps how far the copy has come (`hub.stores.base.CopyState`): what the source was like when the copy
began, where the last piece ended, and at the very end that the copy is complete.
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
from hub.stores.base import CopyState, Piece, Section, Store

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Called with a section, how many of its items are in the destination, and how many there are in the source."""

DOCUMENTS: Final = 500
"""How many documents a piece has at most; fewer where they are big."""
COPY_LEASE: Final = "copy"
"""Held in both stores while the copy runs, so that neither a hub nor a second copy starts on them."""
LEASE_SECONDS: Final = 15.0
WATCH_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 60.0
"""How long a store may be unavailable before the copy gives up."""

_COPIED: Final = tuple(section for section in Section if section is not Section.COUNTERS)
_UNFINISHED: Final = (
    "This store is an unfinished copy of another store. Run `hub store copy` again, which continues from where it"
    " stopped, or point HUB_STORE_URL at another store."
)
_UNDER_WAY: Final = "This store is being copied. Wait until that is done, and then start the hub on the copy."


async def refuse_half_copied(store: Store) -> None:
    """Raises `HubError` when a hub must not start on this store, because a copy from or into it is not complete."""
    await _refuse_unfinished(store)
    if await store.leases.held({COPY_LEASE}):
        raise HubError(_UNDER_WAY)


async def _refuse_unfinished(store: Store) -> None:
    state = await store.transfer.state()
    if state is not None and not state.complete:
        raise HubError(_UNFINISHED)


async def copy(source_url: str, destination_url: str, clock: Clock, progress: Progress) -> Mapping[str, int]:
    """Copy everything that the source holds, or continue an earlier copy; gives how many there are of each kind.

    Example:

        from hub.clock import SystemClock

        totals = await copy("sqlite:///var/hub.db", "redis://localhost", SystemClock(), print)

    `progress` is called after each piece. Raises `HubError` when these stores may not be copied, or when the counts
    differ at the end, and `Unavailable` when a store was unavailable for a minute.
    """
    async with open_store(source_url, clock) as source, open_store(destination_url, clock) as destination:
        return await Copy(source, destination, clock, progress).run()


class Copy:
    """One run of a copy between two open stores."""

    def __init__(self, source: Store, destination: Store, clock: Clock, progress: Progress) -> None:
        self._stores = {"source": source, "destination": destination}
        self._source = source.transfer
        self._destination = destination.transfer
        self._clock = clock
        self._progress = progress
        self._holder = token_hex(8)
        self._watched_at = 0.0

    async def run(self) -> Mapping[str, int]:
        """Copy while holding the lease in both stores."""
        await _refuse_unfinished(self._stores["source"])
        try:
            await self._patiently(self._watch)
            return await self._copy()
        finally:
            for store in self._stores.values():
                with suppress(Unavailable):
                    await store.leases.release(COPY_LEASE, self._holder)

    async def _copy(self) -> Mapping[str, int]:
        wanted, there = await self._source.totals(), await self._destination.totals()
        state, mark = await self._destination.state(), await self._mark(wanted)
        if state is not None and state.complete and (state.source_mark, there) == (mark, wanted):
            return there
        _refuse(wanted, there, state, mark)
        if state is None:
            counters = await self._source.read(Section.COUNTERS, "", 1)
            # Counters and mark first: from here on a hub refuses to start on the destination until the copy is
            # complete.
            await self._destination.begin(mark, counters.documents)
        reached = state.reached if state is not None else {}
        for section in _COPIED:
            await self._copy_section(section, reached.get(section, ""), there[section], wanted[section])
        return await self._complete(wanted)

    async def _mark(self, totals: Mapping[str, int]) -> str:
        """A digest of what the source is like. Every write to a store changes its counters or its totals."""
        (counters,) = (await self._source.read(Section.COUNTERS, "", 1)).documents
        counts = sorted(f"{name} {count}" for name, count in totals.items())
        return sha256("\n".join(counts).encode() + counters).hexdigest()

    async def _copy_section(self, section: Section, after: str, done: int, total: int) -> None:
        """Copy everything after the place `after`; `done` of `total` are in the destination already. The next piece is
        read while one is written."""

        def read(place: str) -> Awaitable[Piece]:
            return self._patiently(lambda: self._source.read(section, place, DOCUMENTS))

        self._progress(section, done, total)
        piece = await read(after)
        while piece.documents:
            if self._clock.monotonic() - self._watched_at > WATCH_SECONDS:
                await self._patiently(self._watch)
            write = partial(self._destination.write, section, piece)
            # Both calls may be repeated: a piece that was written already is not doubled.
            following, _ = await asyncio.gather(read(piece.after), self._patiently(write))
            done += piece.count
            self._progress(section, done, total)
            piece = following

    async def _complete(self, wanted: Mapping[str, int]) -> Mapping[str, int]:
        # Once more at the end: a hub that was started in between may have written to either store.
        await self._watch()
        there = await self._destination.totals()
        if there != wanted:
            differences = (
                f"{there[name]:,} of {wanted[name]:,} {name}" for name in wanted if there[name] != wanted[name]
            )
            raise HubError(f"The copy is incomplete: the destination has {', '.join(differences)}.")
        await self._destination.complete()
        return there

    async def _watch(self) -> None:
        """Make sure that nothing else uses either store now, and renew the lease that keeps others away."""
        # First the lease and then the look: a hub that starts later finds the lease, and one that looked for it a
        # moment earlier is found here, now or at the next watch.
        for role, store in self._stores.items():
            if await store.leases.acquire(COPY_LEASE, self._holder, LEASE_SECONDS) is None:
                # A copy that was killed holds its lease for some seconds more; `_patiently` waits that long.
                raise Unavailable(f"Another copy from or into the {role} is under way; let it end.", retry_after=1.0)
            if await store.leases.held_under(PROCESSES):
                raise Conflict(f"A hub runs on the {role}. Stop every process of it, and then copy.")
        self._watched_at = self._clock.monotonic()

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call, repeated until the store is available. Raises `Unavailable` after a minute."""
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await call()
            except Unavailable as error:
                if self._clock.monotonic() > deadline:
                    raise
                await self._clock.sleep(min(error.retry_after or 1.0, 5.0))


def _refuse(wanted: Mapping[str, int], there: Mapping[str, int], state: CopyState | None, mark: str) -> None:
    """Raise `Conflict` when the copy would mix the source's content with other content."""
    if not any(wanted.values()):
        raise Conflict("The source holds nothing; is its address right?")
    if state is None and any(there.values()):
        held = ", ".join(f"{count:,} {name}" for name, count in there.items() if count)
        raise Conflict(
            f"The destination is not empty ({held}). Give it an empty store; in Redis another ?prefix= is one."
        )
    if state is not None and state.complete:
        raise Conflict(
            "The destination is a complete copy already, and one of the two stores was used since. Give it an empty"
            " store."
        )
    if state is not None and state.source_mark != mark:
        raise Conflict(
            "The source is not what it was when this copy began: a hub has used it since, or it is another store. Begin"
            " again with an empty destination."
        )
