"""Bytes that wait for listeners, who share them."""

from collections.abc import Iterator, Sequence

from hub.shares import MemoryBudget

PIECE_BYTES = 32 * 1024
"""What is given to a connection at once. The server copies it for each, so each that does not read holds as much."""


class Chunk:
    """Some frames as one text of bytes. However many listeners have it, it is counted once in the memory of its tenant:
    from when the first keeps it until the last has dropped it."""

    __slots__ = ("_budget", "_holders", "_is_counted", "_tenant", "data", "entries")

    def __init__(self, data: bytes, entries: int = 0, tenant: str = "", budget: MemoryBudget | None = None) -> None:
        """Without a `budget` it is not counted, as what is short and not kept for long."""
        self.data = data
        self.entries = entries
        self._tenant = tenant
        self._budget = budget
        self._holders = 0
        self._is_counted = False

    def keep(self, *, always: bool) -> bool:
        """Have it for one listener more; False where the memory has no room for it, unless it is `always` kept."""
        if self._budget is not None and not self._is_counted:
            self._is_counted = self._budget.take(self._tenant, len(self.data))
            if not self._is_counted and not always:
                return False
        self._holders += 1
        return True

    def drop(self) -> None:
        """One listener has it no more."""
        self._holders -= 1
        if self._budget is not None and self._is_counted and not self._holders:
            self._budget.give_back(self._tenant, len(self.data))
            self._is_counted = False


def pieces(frames: Sequence[bytes], most: int = PIECE_BYTES) -> Iterator[tuple[bytes, int]]:
    """The frames joined, in pieces of at most so many bytes (or one frame, where that is longer), each with how many
    frames it has."""
    begin = size = 0
    for place, frame in enumerate(frames):
        if size and size + len(frame) > most:
            yield b"".join(frames[begin:place]), place - begin
            begin, size = place, 0
        size += len(frame)
    if begin < len(frames):
        yield b"".join(frames[begin:]), len(frames) - begin
