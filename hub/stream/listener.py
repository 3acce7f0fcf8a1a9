"""One live connection's bounded buffer between the reader of the feed and the socket."""

import asyncio
from collections.abc import Callable

from hub.stream.selection import Selection


class Listener:
    """What waits to be sent to one connection. Offering never waits: whoever falls behind is ended instead."""

    __slots__ = (
        "_bytes",
        "_chunks",
        "_entries",
        "_ready",
        "after",
        "allowed",
        "attached",
        "beats_at",
        "ended",
        "ends_at",
        "selection",
        "tenant",
    )

    def __init__(
        self, tenant: str, selection: Selection, *, allowed: Callable[[], bool], beats_at: float, ends_at: float
    ) -> None:
        self.tenant = tenant
        self.selection = selection
        self.allowed = allowed
        """Whether it may go on listening."""
        self.beats_at = beats_at
        """When a heartbeat is due, on the monotonic clock."""
        self.ends_at = ends_at
        """When it is told to reconnect, on the monotonic clock."""
        self.attached = False
        """Whether live entries are offered yet."""
        self.after = 0
        """Once attached: entries up to this id have been offered, or are told as history."""
        self.ended = False
        self._chunks: list[bytes] = []
        self._entries = 0
        self._bytes = 0
        self._ready = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Nothing waits."""
        return not self._chunks

    def offer(self, chunk: bytes, entries: int, *, max_entries: int, max_bytes: int) -> bool:
        """Buffer `chunk`, which holds `entries` events; False, buffering nothing, when that would be too much.

        An empty buffer takes any chunk, so that one large event cannot end every connection for ever.
        """
        if self._chunks and (self._entries + entries > max_entries or self._bytes + len(chunk) > max_bytes):
            return False
        self._chunks.append(chunk)
        self._entries += entries
        self._bytes += len(chunk)
        self._ready.set()
        return True

    def end(self, last_words: bytes, *, discard: bool = False) -> None:
        """Let the connection end after what waits (or, with `discard`, without it) and `last_words`."""
        if discard:
            self._chunks.clear()
        self._chunks.append(last_words)
        self.ended = True
        self._ready.set()

    async def take(self) -> bytes | None:
        """Everything that waits, as one chunk, as soon as there is any; None after the end."""
        if not self._chunks:
            if self.ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._entries = self._bytes = 0
        return chunk
