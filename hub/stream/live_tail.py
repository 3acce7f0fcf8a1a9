"""The live tail of the feed: one reader for the whole process, and the listeners that are attached to it."""

import asyncio
from collections.abc import Callable, Sequence

from hub.clock import Clock
from hub.models import FeedRow
from hub.shares import MemoryBudget
from hub.stores.base import Feed
from hub.stream import frames
from hub.stream.chunk import Chunk, pieces
from hub.stream.listener import Listener, State
from hub.stream.registry import Registry

PAGE = 500
"""Entries in one read, of the live tail and of history."""
CHECKED_AT_ONCE = 10_000
"""After holding so many entries against selections, the broadcast yields to the loop."""
MAX_BUFFER_BYTES = 1024 * 1024
SLICE = 64
PAUSE_PER_LISTENER = 0.000_1
"""After `SLICE` listeners were woken, the loop has this many seconds for each of them for other work. Waking a listener
costs about as much, so the stream neither holds the loop for long nor takes all of it, and what is written meanwhile
reaches listeners in one chunk."""
RETRY, RETRY_BUSY = (1.0, 4.0), (10.0, 30.0)
"""Bounds, in seconds, of the random time after which listeners are told to reconnect."""

Frames = Sequence[tuple[int, bytes]]
"""Encoded entries with their cursors."""


class LiveTail:
    """Offers each new entry to the listeners that select it, and ends those whose buffer has no room for it.

    Each entry is encoded once, and all listeners share its bytes. See docs/decisions/0007.
    """

    def __init__(
        self,
        feed: Feed,
        clock: Clock,
        registry: Registry,
        encode: Callable[[FeedRow], bytes],
        *,
        buffer: int,
        heartbeat: float,
        memory: MemoryBudget,
    ) -> None:
        self.cursor = 0
        """The last entry that every attached listener was offered. It stands still while there are none."""
        self.overflows = 0
        """How many listeners were ended because they fell behind."""
        self._feed = feed
        self._clock = clock
        self._registry = registry
        self._encode = encode
        self._buffer = buffer
        self._heartbeat = heartbeat
        self._memory = memory
        self._has_listeners = asyncio.Event()
        self._broadcasting = 0
        """The last entry of the broadcast under way, which some listeners were offered already."""

    @property
    def hand_over_cursor(self) -> int:
        """A listener that is attached now reads entries up to here as history: they may have been offered already."""
        return max(self.cursor, self._broadcasting)

    def attach(self, listener: Listener, cursor: int) -> int:
        """Offer entries to a listener that knows those up to `cursor`; gives the last that it reads as history."""
        if not self._has_listeners.is_set():
            # With nobody attached the cursor stood still. This listener has read up to its own, so the reader begins
            # there.
            self.cursor = max(self.cursor, cursor)
        listener.attach(max(self.hand_over_cursor, cursor))
        self._registry.attach(listener)
        self._has_listeners.set()
        return listener.hand_over

    def remove(self, listener: Listener) -> None:
        """Forget a listener, if it is not forgotten yet."""
        self._registry.remove(listener)
        if not self._registry.has_attached:
            self._has_listeners.clear()

    def end(self, listener: Listener, last_words: bytes, *, discard: bool = False) -> None:
        """End a listener after its buffer (or, with `discard`, without it) and `last_words`."""
        self.remove(listener)
        if listener.state is State.ATTACHED and not discard:
            # Not with `discard`: its buffer was never sent, so it has to resume from the last entry that it got.
            last_words = self._moved(listener) + last_words
        listener.end(last_words, discard=discard)

    def end_all(self, reason: str) -> None:
        for listener in self._registry:
            self.end(listener, frames.comment(reason) + frames.retry(*RETRY))

    def send_heartbeat(self, listener: Listener) -> None:
        """Keep a quiet attached connection alive, and its cursor fresh."""
        self._offer(listener, Chunk(frames.HEARTBEAT + self._moved(listener)))

    async def broadcast_next(self) -> None:
        """Wait for new entries, while there are attached listeners, and offer them."""
        await self._has_listeners.wait()
        rows = await self._new_rows()
        if rows:
            # Before the first is offered: the broadcast yields to the loop, and a listener that is attached then reads
            # these rows as history.
            self._broadcasting = rows[-1].id
            await self._broadcast(rows)
            self.cursor = max(self.cursor, self._broadcasting)

    async def _new_rows(self) -> Sequence[FeedRow]:
        after = self.cursor
        await self._feed.wait(after)
        rows = await self._feed.read(after, PAGE)
        has_hole = not rows or rows[0].id > after + 1
        # Missing ids alone prove nothing: a store that came back older goes on far above (docs/decisions/0009).
        if has_hole and (await self._feed.bounds())[0] > self.cursor:
            self.end_all("entries are missing: reconnect and resume")
        return rows

    async def _broadcast(self, rows: Sequence[FeedRow]) -> None:
        """Offer entries to the listeners that select them, `SLICE` listeners at a time."""
        woken = 0
        for tenant, selected, listeners in await self._plan(rows):
            chunks = self._chunks(tenant, [frame for _, frame in selected])
            for place in range(0, len(listeners), SLICE):
                some = listeners[place : place + SLICE]
                self._offer_to_each(some, selected, chunks)
                woken += len(some)
                if woken >= SLICE:
                    woken -= await self._yield_to_loop(woken)
        await self._yield_to_loop(woken)

    async def _plan(self, rows: Sequence[FeedRow]) -> list[tuple[str, Frames, list[Listener]]]:
        """Which frames of which tenant go to which listeners.

        A listener that is attached later reads these entries as history.
        """
        by_tenant: dict[str, list[FeedRow]] = {}
        for row in rows:
            by_tenant.setdefault(row.entry.tenant, []).append(row)
        plan: list[tuple[str, Frames, list[Listener]]] = []
        checked = 0
        for tenant, own in by_tenant.items():
            # A copy, because listeners come and go while this yields to the loop.
            groups = [*self._registry.groups(tenant)]
            entries = [(row, self._encode(row)) for row in own] if groups else ()
            for selection, listeners in groups:
                selected = [(row.id, frame) for row, frame in entries if selection.passes(row.entry)]
                checked += len(own)
                if checked > CHECKED_AT_ONCE:
                    checked = 0
                    await asyncio.sleep(0)
                if selected:
                    # A copy, because listeners come and go while the broadcast yields to the loop.
                    plan.append((tenant, selected, list(listeners)))
        return plan

    def _chunks(self, tenant: str, selected: Sequence[bytes]) -> list[Chunk]:
        return [Chunk(data, entries, tenant, self._memory) for data, entries in pieces(selected)]

    def _offer_to_each(self, listeners: Sequence[Listener], selected: Frames, chunks: Sequence[Chunk]) -> None:
        first, last = selected[0][0], selected[-1][0]
        heartbeat_at = self._clock.monotonic() + self._heartbeat
        for listener in listeners:
            # Both can have happened since the plan was made.
            if listener.state is State.ENDED or listener.offered >= last:
                continue
            fitting = chunks
            if listener.offered >= first:
                # It was attached in the middle of these rows: what it reads as history must not come again.
                new = [frame for cursor, frame in selected if cursor > listener.offered]
                fitting = self._chunks(listener.tenant, new)
            if self._offer(listener, *fitting):
                listener.offered = last
                listener.heartbeat_at = heartbeat_at
            else:
                self.overflows += 1
                words = frames.comment("too slow: reconnect and resume") + frames.retry(*RETRY)
                self.end(listener, words, discard=True)

    async def _yield_to_loop(self, woken: int) -> int:
        # Real time on purpose: this shares out the processor, and no test's clock should hold it up.
        await asyncio.sleep(woken * PAUSE_PER_LISTENER)
        return woken

    def _offer(self, listener: Listener, *chunks: Chunk) -> bool:
        return listener.offer(chunks, max_entries=self._buffer, max_bytes=MAX_BUFFER_BYTES)

    def _moved(self, listener: Listener) -> bytes:
        """Tells the listener how far it has come, where the last event that it was sent does not."""
        if listener.offered >= self.cursor:
            return b""
        listener.offered = self.cursor
        return frames.cursor(self.cursor)
