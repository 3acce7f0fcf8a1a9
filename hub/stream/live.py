"""The live end of the feed: one reader for the whole process, and the listeners that are attached to it."""

import asyncio
from collections.abc import Sequence

from hub.clock import Clock
from hub.models import FeedRow
from hub.stores.base import Feed
from hub.stream import frames
from hub.stream.listener import Listener
from hub.stream.registry import Registry

PAGE = 500
"""Entries read at once, here and of history."""
MAX_BUFFER_BYTES = 1024 * 1024
SLICE = 64
PAUSE_PER_LISTENER = 0.000_1
"""So many listeners are woken at once; then the loop has this many seconds for each of them for other work. Waking one
costs about as much, so the stream never holds the loop for long nor takes all of it, and what is written meanwhile
reaches listeners joined."""
RETRY, RETRY_BUSY = (1.0, 4.0), (10.0, 30.0)
"""Seconds, at random between these, after which listeners are told to reconnect."""

Frames = Sequence[tuple[int, bytes]]
"""Encoded entries with their cursors."""


class LiveTail:
    """Offers each new entry to those who want it, and ends whoever has no room for it."""

    def __init__(self, feed: Feed, clock: Clock, registry: Registry, *, buffer: int, heartbeat: float) -> None:
        self.cursor = 0
        """What all attached listeners have been told; it stands still while there are none."""
        self.overflows = 0
        """How many listeners were ended because they fell behind."""
        self._feed = feed
        self._clock = clock
        self._registry = registry
        self._buffer = buffer
        self._heartbeat = heartbeat
        self._wanted = asyncio.Event()
        self._telling = 0
        """What some of them have been told, while a round is under way."""

    @property
    def seam(self) -> int:
        """Up to here, entries have been offered already; whoever is attached now must read them for itself."""
        return max(self.cursor, self._telling)

    def attach(self, listener: Listener, cursor: int) -> int:
        """Offer entries after `cursor` from now on; gives the seam."""
        if not self._wanted.is_set():
            self.cursor = max(self.cursor, cursor)
        listener.after = max(self.seam, cursor)
        listener.attached = True
        if not listener.ended:
            self._registry.attach(listener)
            self._wanted.set()
        return self.seam

    def remove(self, listener: Listener) -> None:
        """Forget a listener, if it is not forgotten yet."""
        self._registry.remove(listener)
        if not self._registry.anyone_attached:
            self._wanted.clear()

    def end(self, listener: Listener, last_words: bytes, *, discard: bool = False) -> None:
        """End a listener after what waits for it (or, with `discard`, without that)."""
        self.remove(listener)
        if listener.attached and not discard:
            last_words = self._mark(listener) + last_words
        listener.end(last_words, discard=discard)

    def end_all(self, reason: str) -> None:
        for listener in self._registry:
            self.end(listener, frames.comment(reason) + frames.retry(*RETRY))

    def beat(self, listener: Listener) -> None:
        """Keep an attached connection on which nothing waits from looking dead."""
        self._offer(listener, frames.HEARTBEAT + self._mark(listener), 0)

    async def round(self) -> None:
        """Read and tell what is new, as soon as there is any and somebody listens."""
        await self._wanted.wait()
        rows = await self._new_rows()
        if rows:
            self._telling = rows[-1].id
            await self._tell(rows)
            self.cursor = max(self.cursor, self._telling)

    async def _new_rows(self) -> Sequence[FeedRow]:
        after = self.cursor
        await self._feed.wait(after)
        rows = await self._feed.read(after, PAGE)
        holed = not rows or rows[0].id > after + 1
        if holed and (await self._feed.bounds())[0] > self.cursor:
            self.end_all("entries are missing: reconnect and resume")
        return rows

    async def _tell(self, rows: Sequence[FeedRow]) -> None:
        """Offer entries to those who want them, some listeners at a time."""
        woken = 0
        for told, listeners in self._plan(rows):
            shared = b"".join([frame for _, frame in told])
            for place in range(0, len(listeners), SLICE):
                some = listeners[place : place + SLICE]
                self._tell_some(some, told, shared)
                woken += len(some)
                if woken >= SLICE:
                    woken -= await self._rest(woken)
        await self._rest(woken)

    def _plan(self, rows: Sequence[FeedRow]) -> list[tuple[Frames, list[Listener]]]:
        """Which frames go to whom. Who is attached later reads these entries as history."""
        by_tenant: dict[str, list[FeedRow]] = {}
        for row in rows:
            by_tenant.setdefault(row.entry.tenant, []).append(row)
        plan: list[tuple[Frames, list[Listener]]] = []
        for tenant, own in by_tenant.items():
            groups = self._registry.groups(tenant)
            entries = [(row, frames.entry(row)) for row in own] if groups else ()
            for selection, listeners in groups:
                told = [(row.id, frame) for row, frame in entries if selection.passes(row.entry)]
                if told:
                    plan.append((told, list(listeners)))
        return plan

    def _tell_some(self, listeners: Sequence[Listener], told: Frames, shared: bytes) -> None:
        first, last = told[0][0], told[-1][0]
        beats_at = self._clock.monotonic() + self._heartbeat
        for listener in listeners:
            if listener.ended or listener.after >= last:
                continue
            if listener.after < first:
                fits = self._offer(listener, shared, len(told))
            else:
                new = [frame for cursor, frame in told if cursor > listener.after]
                fits = self._offer(listener, b"".join(new), len(new))
            if fits:
                listener.after = last
                listener.beats_at = beats_at
            else:
                self.overflows += 1
                words = frames.comment("too slow: reconnect and resume") + frames.retry(*RETRY)
                self.end(listener, words, discard=True)

    async def _rest(self, woken: int) -> int:
        # Real time on purpose: this shares out the processor, and no test's clock should hold it up.
        await asyncio.sleep(woken * PAUSE_PER_LISTENER)
        return woken

    def _offer(self, listener: Listener, chunk: bytes, entries: int) -> bool:
        return listener.offer(chunk, entries, max_entries=self._buffer, max_bytes=MAX_BUFFER_BYTES)

    def _mark(self, listener: Listener) -> bytes:
        return frames.mark(max(self.cursor, listener.after))
