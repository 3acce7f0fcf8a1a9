"""One live connection's bounded buffer between the reader of the feed and the socket."""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto

from hub.stream.chunk import PIECE_BYTES, Chunk
from hub.stream.selection import Selection


class State(Enum):
    """Where a listener is in its life; `Listener` draws the transitions."""

    HISTORY = auto()
    """It reads what the feed keeps, page by page, at its own pace. Nothing is offered to it."""
    ATTACHED = auto()
    """Live entries are offered to its buffer. It may still be reading the history before them."""
    ENDED = auto()
    """Its last bytes are in the buffer, or sent; nothing is offered to it any more."""


class Listener:
    """What waits to be sent to one connection. Offering never waits: a listener that falls behind is ended.

        HISTORY ──attach──▶ ATTACHED ──end──▶ ENDED
           └──────────────end───────────────────▲

    A listener that is ended while it reads history leaves the rest of it for its next connection. One that was attached
    is sent its history up to the hand-over first: the entries in its buffer come after it.
    """

    # One instance a connection, thousands of them: slots save a third of its memory.
    __slots__ = (
        "_bytes",
        "_chunks",
        "_entries",
        "_ready",
        "ends_at",
        "hand_over",
        "heartbeat_at",
        "is_allowed",
        "offered",
        "selection",
        "state",
        "tenant",
    )

    def __init__(
        self, tenant: str, selection: Selection, *, is_allowed: Callable[[], bool], heartbeat_at: float, ends_at: float
    ) -> None:
        self.tenant = tenant
        self.selection = selection
        self.is_allowed = is_allowed
        """Whether it may go on listening."""
        self.heartbeat_at = heartbeat_at
        """When a heartbeat is due, on the monotonic clock."""
        self.ends_at = ends_at
        """When it is asked to reconnect, on the monotonic clock."""
        self.state = State.HISTORY
        self.hand_over = 0
        """The id of the last entry that it reads as history; 0 until it is attached."""
        self.offered = 0
        """Up to which entry it is told in its history, its buffer or what it was sent; 0 until it is attached."""
        self._chunks: list[Chunk] = []
        self._entries = 0
        self._bytes = 0
        self._ready = asyncio.Event()

    @property
    def buffer_empty(self) -> bool:
        return not self._chunks

    def owes_history(self, cursor: int) -> bool:
        """Whether entries after `cursor` are to be read for it as history."""
        return self.state is State.HISTORY or cursor < self.hand_over

    def attach(self, hand_over: int) -> None:
        """From now on it is offered the entries after `hand_over`."""
        self.state = State.ATTACHED
        self.hand_over = self.offered = hand_over

    def offer(self, chunks: Sequence[Chunk], *, max_entries: int, max_bytes: int) -> bool:
        """Buffer the chunks of one broadcast; False when they are too much together.

        An empty buffer takes any of them: otherwise one event over the limit would end each connection that resumes
        before it.
        """
        entries, size = sum(chunk.entries for chunk in chunks), sum(len(chunk.data) for chunk in chunks)
        if self._chunks and (self._entries + entries > max_entries or self._bytes + size > max_bytes):
            return False
        for chunk in chunks:
            if not chunk.keep(always=not self._chunks):
                return False
            self._chunks.append(chunk)
        self._entries += entries
        self._bytes += size
        self._ready.set()
        return True

    def end(self, last_words: bytes, *, discard: bool = False) -> None:
        """Let the connection end after the buffer (or, with `discard`, without it) and `last_words`."""
        if discard:
            self.discard()
        # Not counted against the limit: it is short, and it says where the listener can resume.
        self._chunks.append(Chunk(last_words))
        self.state = State.ENDED
        self._ready.set()

    def discard(self) -> None:
        """Drop what is in the buffer."""
        for chunk in self._chunks:
            chunk.drop()
        self._chunks.clear()
        self._entries = self._bytes = 0

    async def take(self) -> bytes | None:
        """What is in the buffer, as soon as there is any, at most some `PIECE_BYTES` of it; None after the end."""
        if not self._chunks:
            if self.state is State.ENDED:
                return None
            # Cleared only while the buffer is empty, and by its one reader, so no chunk that is offered goes unnoticed.
            self._ready.clear()
            await self._ready.wait()
        taken, size = 0, 0
        for chunk in self._chunks:
            if taken and size + len(chunk.data) > PIECE_BYTES:
                break
            taken, size = taken + 1, size + len(chunk.data)
        chunks = self._chunks[:taken]
        del self._chunks[:taken]
        for chunk in chunks:
            chunk.drop()
            self._entries -= chunk.entries
        self._bytes -= size
        return chunks[0].data if taken == 1 else b"".join([chunk.data for chunk in chunks])
