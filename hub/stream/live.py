"""The live end of the feed: one reader for the whole process, and the listeners that are attached to it."""

import asyncio
from collections.abc import Iterable, Sequence

from hub.clock import Clock
from hub.models import FeedRow
from hub.stores.base import Feed
from hub.stream import frames
from hub.stream.listener import Listener
from hub.stream.registry import Registry

PAGE = 500
"""Entries read at once, here and of history."""
MAX_BUFFER_BYTES = 1024 * 1024
PAUSE_PER_LISTENER = 0.000_1
"""Seconds of rest after a round for each listener that it woke, which costs about a quarter of that: so listeners take
a part of the loop and never all of it, and what happens meanwhile reaches them joined."""
RETRY, RETRY_BUSY = (1.0, 4.0), (10.0, 30.0)
"""Seconds, at random between these, after which listeners are told to reconnect."""


class LiveEnd:
    """Offers each new entry to those who want it, and ends whoever has no room for it."""

    def __init__(self, feed: Feed, clock: Clock, registry: Registry, *, buffer: int, heartbeat: float) -> None:
        self.cursor = 0
        """What attached listeners have been told; it stands still while there are none."""
        self.overflows = 0
        """How many listeners were ended because they fell behind."""
        self._feed = feed
        self._clock = clock
        self._registry = registry
        self._buffer = buffer
        self._heartbeat = heartbeat
        self._wanted = asyncio.Event()

    def attach(self, listener: Listener, cursor: int) -> int:
        """Offer entries after `cursor` from now on; gives the seam: up to there, others have been offered them already,
        and the listener must read for itself."""
        if not self._wanted.is_set():
            self.cursor = max(self.cursor, cursor)
        listener.after = max(self.cursor, cursor)
        listener.attached = True
        if not listener.ended:
            self._registry.attach(listener)
            self._wanted.set()
        return self.cursor

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
        woken = self._tell(rows)
        if len(rows) < PAGE:
            # Real time on purpose: this shares out the processor, and no test's clock should hold it up.
            await asyncio.sleep(woken * PAUSE_PER_LISTENER)

    async def _new_rows(self) -> Sequence[FeedRow]:
        after = self.cursor
        await self._feed.wait(after)
        rows = await self._feed.read(after, PAGE)
        trimmed = (await self._feed.bounds())[0] if rows and rows[0].id > after + 1 else 0
        if after != self.cursor:
            return ()
        if trimmed > after:
            self.end_all("the hub fell behind")
        return rows

    def _tell(self, rows: Sequence[FeedRow]) -> int:
        """Offer entries to those who want them; gives how many listeners that woke."""
        by_tenant: dict[str, list[FeedRow]] = {}
        for row in rows:
            by_tenant.setdefault(row.entry.tenant, []).append(row)
        self.cursor = rows[-1].id if rows else self.cursor
        beats_at = self._clock.monotonic() + self._heartbeat
        woken, behind = 0, []
        for tenant, own in by_tenant.items():
            groups = self._registry.groups(tenant)
            entries = [(row, frames.entry(row)) for row in own] if groups else ()
            for selection, listeners in groups:
                told = [(row.id, frame) for row, frame in entries if selection.passes(row.entry)]
                if told:
                    behind += self._tell_group(listeners, told, beats_at)
                    woken += len(listeners)
        for listener in behind:
            self.overflows += 1
            words = frames.comment("too slow: reconnect and resume") + frames.retry(*RETRY)
            self.end(listener, words, discard=True)
        return woken

    def _tell_group(
        self, listeners: Iterable[Listener], told: Sequence[tuple[int, bytes]], beats_at: float
    ) -> list[Listener]:
        """Offer the same frames to listeners of one selection; gives those that have no room for them."""
        first, last = told[0][0], told[-1][0]
        shared = b"".join([frame for _, frame in told])
        behind = []
        for listener in listeners:
            listener.beats_at = beats_at
            if listener.after < first:
                fits = self._offer(listener, shared, len(told))
            elif listener.after < last:
                new = [frame for cursor, frame in told if cursor > listener.after]
                fits = self._offer(listener, b"".join(new), len(new))
            else:
                continue
            if not fits:
                behind.append(listener)
        return behind

    def _offer(self, listener: Listener, chunk: bytes, entries: int) -> bool:
        return listener.offer(chunk, entries, max_entries=self._buffer, max_bytes=MAX_BUFFER_BYTES)

    def _mark(self, listener: Listener) -> bytes:
        return frames.mark(max(self.cursor, listener.after))
