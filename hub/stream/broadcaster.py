"""The live stream as connections see it: where each begins, what it is told of history, and when it ends.

A listener first reads history at its own pace and is then attached to the live tail, at a cursor that leaves neither a
hole nor a duplicate. From there its buffer is bounded: a listener that falls behind is ended, and resumes as history.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
import structlog

from hub.clock import Clock
from hub.errors import Unavailable
from hub.shares import MemoryBudget, TenantTurns
from hub.stores.base import Feed
from hub.stream import frames
from hub.stream.chunk import pieces
from hub.stream.listener import Listener, State
from hub.stream.live_tail import PAGE, RETRY, RETRY_BUSY, LiveTail
from hub.stream.registry import Registry
from hub.stream.selection import Selection

EARLIEST = "earliest"
_STORE_AWAY = "the store does not answer"
TICK_SECONDS = 1.0
"""Between checks of the heartbeats, ages and keys of all listeners."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts, as the settings `stream_…` have them."""

    max_listeners: int = 2_000
    buffer: int = 1_000
    heartbeat: float = 15.0
    max_age: float = 600.0


@dataclass(frozen=True, slots=True)
class Start:
    """Where a listener begins: after `cursor`. `newest` is the newest entry of that moment; `opening` is sent first."""

    cursor: int
    newest: int
    opening: bytes = b""


class Broadcaster:
    """Sends the feed to listeners, each from its own cursor. `open_broadcaster` makes one.

    Example:

        memory, name_of = MemoryBudget(10**8), catalogue.subscription_name
        async with open_broadcaster(store.feed, clock, Limits(), name_of, memory) as stream:
            async for chunk in await stream.listen("default", Selection(), None, lambda: True):
                ...
    """

    def __init__(
        self, feed: Feed, clock: Clock, limits: Limits, name_of: Callable[[str], str | None], memory: MemoryBudget
    ) -> None:
        self.closing = anyio.Event()
        """Set it to end every connection and admit no more."""
        self._feed = feed
        self._clock = clock
        self._limits = limits
        self._memory = memory
        self._turns = TenantTurns()
        self._registry = Registry(limits.max_listeners)
        self._encode = partial(frames.entry, name_of=name_of)
        self._live = LiveTail(
            feed, clock, self._registry, self._encode, buffer=limits.buffer, heartbeat=limits.heartbeat, memory=memory
        )

    @property
    def listeners(self) -> int:
        """How many are listening."""
        return self._registry.count

    @property
    def overflows(self) -> int:
        """How many listeners were ended because they fell behind, since the start."""
        return self._live.overflows

    async def listen(
        self, tenant: str, selection: Selection, last_event_id: str | None, is_allowed: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        """The stream after `last_event_id` (None: now; `earliest`: the oldest kept), as ready bytes.

        Its beginning is fixed when this returns: what is published after that is in the stream. It ends, with `retry:`,
        at its maximum age, at shutdown, on overload, when its buffer overflows, and about a second after `is_allowed`
        gives False. A cursor older than what is kept gives `gap` and then all that is kept. A cursor that cannot be
        read, or that was never given out (as after a backup was restored), gives `gap` and then what is new.
        """
        try:
            start = await self._start(last_event_id)
        except Unavailable:
            return self.refuse_unavailable()
        return self._stream(tenant, selection, start, is_allowed)

    async def refuse_unavailable(self) -> AsyncGenerator[bytes, None]:
        """A stream that asks to come back later, because the store does not answer now."""
        yield _refusal(_STORE_AWAY)

    async def _start(self, last_event_id: str | None) -> Start:
        trimmed, newest = await self._feed.bounds()
        if last_event_id is None:
            return Start(newest, newest, frames.cursor(newest))
        if last_event_id == EARLIEST:
            return Start(trimmed, newest)
        # Eighteen digits fit the 64 bits of an id. `int` alone would read digits of other scripts, and text of any
        # length.
        requested = int(last_event_id) if re.fullmatch(r"[0-9]{1,18}", last_event_id) else None
        if requested is None or requested > newest:
            return Start(newest, newest, frames.gap(newest, trimmed + 1, requested))
        return Start(requested, newest)

    async def _stream(
        self, tenant: str, selection: Selection, start: Start, is_allowed: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        listener = self._admit(tenant, selection, is_allowed)
        if listener is None:
            yield _refusal("no room for another listener")
            return
        try:
            yield frames.retry(*RETRY) + start.opening
            async with aclosing(self._history(listener, start)) as pages:
                async for piece in pages:
                    yield piece
            while (chunk := await listener.take()) is not None:
                yield chunk
        except Unavailable:
            yield _refusal(_STORE_AWAY)
        finally:
            self._live.remove(listener)
            listener.discard()

    def _admit(self, tenant: str, selection: Selection, is_allowed: Callable[[], bool]) -> Listener | None:
        if self.closing.is_set():
            return None
        if self._registry.full:
            other = self._registry.evictable(tenant)
            if other is None:
                return None
            # Ended and not cut off: it gets what is in its buffer, and comes back with its cursor.
            self._live.end(other, _refusal("another listener needs the room"))
        now = self._clock.monotonic()
        age = self._limits.max_age * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
        heartbeat_at = now + self._limits.heartbeat
        listener = Listener(tenant, selection, is_allowed=is_allowed, heartbeat_at=heartbeat_at, ends_at=now + age)
        self._registry.add(listener)
        return listener

    async def _history(self, listener: Listener, start: Start) -> AsyncGenerator[bytes, None]:
        """Pages of the entries after the start, up to those that the live tail offers; attaches the listener there."""
        cursor, until = start.cursor, start.newest
        while listener.owes_history(cursor):
            if listener.state is State.HISTORY and cursor >= until:
                # Attached too early, it would buffer live entries for as long as it reads the pages before them.
                far = self._live.hand_over_cursor - cursor > PAGE
                until = self._live.hand_over_cursor if far else self._live.attach(listener, cursor)
                continue
            page, cursor = await self._page(listener, cursor, until)
            size = sum(map(len, page))
            if not self._memory.take(listener.tenant, size):
                self._live.end(listener, _refusal("too much waits for listeners that do not read"))
                return
            try:
                for piece, _ in pieces(page):
                    yield piece
            finally:
                self._memory.give_back(listener.tenant, size)

    async def _page(self, listener: Listener, cursor: int, until: int) -> tuple[list[bytes], int]:
        """The frames of the next page after the cursor, and the cursor after it."""
        # The live tail reads through the same store, and must not wait behind the history of many listeners.
        async with self._turns.of(listener.tenant):
            rows = await self._feed.read(cursor, PAGE, listener.tenant)
        # What comes after `until` is read in a later turn, or comes through the buffer: here it would come twice.
        page = [row for row in rows if row.id <= until]
        trimmed, _ = await self._feed.bounds()
        # Asked after the read: the page's first entry proves that nothing before it was trimmed by then.
        lost = trimmed > cursor and not (page and page[0].id <= trimmed)
        opening = frames.gap(trimmed, trimmed + 1, cursor) if lost else b""
        # A page that is not full holds all that this tenant has up to `until`, so what follows need not be read
        # again.
        cursor = page[-1].id if len(page) == PAGE else max(until, trimmed if lost else 0)
        selected = [row for row in page if listener.selection.passes(row.entry)]
        # A listener whose filter lets little through resumes from here, and not from the last event that it got.
        closing = b"" if selected and selected[-1].id == cursor else frames.cursor(cursor)
        return [opening, *map(self._encode, selected), closing], cursor

    def close(self) -> None:
        """End every connection and admit no more."""
        self.closing.set()
        self._live.end_all("the hub is stopping")

    async def run(self) -> None:
        """Broadcast new entries, check the listeners, and close when `closing` is set."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._live.broadcast_next), name="stream reader")
            tasks.create_task(self._repeat(self._check_listeners), name="stream checks")
            await self.closing.wait()
            self.close()

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled, through errors too: the cursor stays where it was, so nothing is skipped, only late."""
        while True:
            try:
                await step()
            except Unavailable as error:
                _log.warning("stream.delayed", reason=error.detail)
                await self._clock.sleep(error.retry_after or TICK_SECONDS)
            except Exception:  # noqa: BLE001 - an unforeseen error must not end every stream
                _log.exception("stream.failed")
                await self._clock.sleep(TICK_SECONDS)

    async def _check_listeners(self) -> None:
        """After a tick, keep quiet connections alive, and end those that are too old or whose key is not valid."""
        await self._clock.sleep(min(TICK_SECONDS, self._limits.heartbeat / 2))
        now = self._clock.monotonic()
        for listener in self._registry:
            if now >= listener.ends_at:
                self._live.end(listener, frames.retry(*RETRY))
            # Asked each second, which is cheap: keys are in memory. See docs/decisions/0006.
            elif not listener.is_allowed():
                self._live.end(listener, _refusal("the key is no longer valid, or the ticket has a newer connection"))
            elif now >= listener.heartbeat_at and listener.state is State.ATTACHED and listener.buffer_empty:
                self._live.send_heartbeat(listener)
                listener.heartbeat_at = now + self._limits.heartbeat


def _refusal(reason: str) -> bytes:
    return frames.comment(reason) + frames.retry(*RETRY_BUSY)


@asynccontextmanager
async def open_broadcaster(
    feed: Feed, clock: Clock, limits: Limits, name_of: Callable[[str], str | None], memory: MemoryBudget
) -> AsyncIterator[Broadcaster]:
    """A broadcaster that reads until the context ends, which ends every connection. `name_of` gives the name of a
    subscription, with which entries show it."""
    broadcaster = Broadcaster(feed, clock, limits, name_of, memory)
    running = asyncio.create_task(broadcaster.run(), name="stream")
    try:
        yield broadcaster
    finally:
        broadcaster.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
