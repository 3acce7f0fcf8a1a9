"""The ways in which the body of an answer is delimited (RFC 9112, sections 6 and 7)."""

from abc import ABC, abstractmethod

_MAX_LINE_BYTES = 1_024
"""A line with the size of a chunk; what stands beside the size is ignored."""
_MAX_SIZE_DIGITS = 15


class Body(ABC):
    """A body that is being read."""

    __slots__ = ("ended", "is_sound")

    def __init__(self) -> None:
        self.ended = False
        self.is_sound = True
        """Whether it ended where it had to, with nothing after it."""

    @abstractmethod
    def take(self, data: bytes) -> bytes:
        """What `data` adds to the body."""

    def _end(self, *, is_sound: bool) -> None:
        self.ended = True
        self.is_sound = is_sound


class Unbounded(Body):
    """Goes on until the connection ends."""

    __slots__ = ()

    def take(self, data: bytes) -> bytes:
        return data


class Sized(Body):
    """Has as many bytes as `Content-Length` says."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def take(self, data: bytes) -> bytes:
        left, self._left = self._left, self._left - len(data)
        if self._left <= 0:
            self._end(is_sound=self._left == 0)
        return data[:left]


class Chunked(Body):
    """Comes in chunks, each with its size before it. A body that breaks the rules ends there."""

    __slots__ = ("_left", "_line")

    def __init__(self) -> None:
        super().__init__()
        self._left = 0
        """How much of the present chunk has not come yet."""
        self._line = b""
        """The beginning of a line whose end has not come yet."""

    def take(self, data: bytes) -> bytes:
        data, self._line = self._line + data, b""
        pieces = []
        at = 0
        while not self.ended and at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            line_end = data.find(b"\n", at)
            # A chunk ends with a line break of its own, after which the line with the next size stands.
            if line_end == at or (line_end == at + 1 and data[at] == _RETURN):
                at = line_end + 1
                continue
            at = self._next_chunk(data, at, line_end)
        return b"".join(pieces)

    def _next_chunk(self, data: bytes, at: int, line_end: int) -> int:
        """Read the line with the size of the next chunk; gives the place after it."""
        if line_end < 0:
            self._line = data[at:]
            if len(self._line) > _MAX_LINE_BYTES:
                self._end(is_sound=False)
            return len(data)
        size = _size(data[at:line_end])
        if size is None:
            self._end(is_sound=False)
            return len(data)
        if size > 0:
            self._left = size
            return line_end + 1
        rest = data[line_end + 1 :]
        if rest in (b"", b"\r"):
            # The empty line after the last chunk has not come yet.
            self._line = data[at:]
        else:
            # Trailers would follow instead of an empty line. They are not read, so that the connection is not reused.
            self._end(is_sound=rest in (b"\r\n", b"\n"))
        return len(data)


_RETURN = ord("\r")


def _size(line: bytes) -> int | None:
    """The size in the line before a chunk; None when there is none."""
    digits = line.partition(b";")[0].strip()
    if not 0 < len(digits) <= _MAX_SIZE_DIGITS or not digits.isalnum():
        return None
    try:
        return int(digits, 16)
    except ValueError:
        return None
