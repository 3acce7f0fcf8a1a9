"""The answer to one request, read from the bytes of a connection (RFC 9112).

The status decides: once it is known, nothing that follows it can make the answer invalid. Fields that break the rules
are left out, and a body that breaks them ends there. See docs/decisions/0021.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus

from channels.http.body import Body, Chunked, Sized, Unbounded

MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 1_000
MAX_HEAD_BYTES = 256 * 1024
"""All fields together: a hub waits for many answers at once, and each of them is kept in memory until its head ends."""

_MAX_START_BYTES = 64
"""By then a status must have come."""
_STATUS = re.compile(rb"HTTP/([0-9](?:\.[0-9])?) +([1-9][0-9]{2})[ \r\n]")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_DIGITS = re.compile(rb"[0-9]{1,18}")


class NotHttp(ValueError):
    """What came does not begin with the status line of an answer."""


class AnswerParser:
    """One answer, fed with what the connection receives until it is complete. Informational answers are skipped.

    Example:

        answer = AnswerParser(body_bytes=65_536)
        answer.feed(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        answer.status, bytes(answer.body), answer.is_complete  # (200, b"ok", True)
    """

    __slots__ = (
        *("_body", "_body_bytes", "_pending", "_searched"),
        *("body", "fields", "is_complete", "is_reusable", "status"),
    )

    def __init__(self, body_bytes: int) -> None:
        """Of the body at most `body_bytes` are kept; the answer is complete without the rest."""
        self.status = 0
        """0 until it is known."""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.is_complete = False
        self.is_reusable = False
        """Whether the connection can carry another request after this answer."""
        self._body_bytes = body_bytes
        self._pending = b""
        self._searched = 0
        """Up to here the end of the head has been looked for."""
        self._body: Body | None = None

    def feed(self, data: bytes) -> None:
        """Read on. Raises `NotHttp` when no status comes where one must stand."""
        if self._body is not None:
            self._read_body(self._body, data)
            return
        self._pending += data
        while self._read_status():
            end = _END_OF_HEAD.search(self._pending, self._searched)
            if end is None:
                self._searched = max(0, len(self._pending) - len(b"\r\n\r"))
                if len(self._pending) > MAX_HEAD_BYTES:
                    self._cut()
                return
            head, self._pending = self._pending[: end.start()], self._pending[end.end() :]
            self._searched = 0
            if self.status:
                self._read_head(head)
                return

    def end(self) -> None:
        """Nothing more comes, or nothing more is waited for. What has come is the answer, if its status has."""
        if self._body is None:
            if not self.status:
                # The line may have ended with the connection.
                self._pending += b"\n"
                with suppress(NotHttp):
                    self._read_status()
            # What stands after the last line break may be half of a field.
            self.fields = list(_fields(self._pending.rpartition(b"\n")[0]))
        self.is_reusable = False
        self.is_complete = self.status != 0

    def _cut(self) -> None:
        self.end()
        if not self.is_complete:
            raise NotHttp

    def _read_status(self) -> bool:
        """Whether a status stands at the beginning of what has come."""
        start = self._pending = self._pending.lstrip(b"\r\n")
        found = _STATUS.match(start)
        if found is None:
            if b"\n" in start or len(start) > _MAX_START_BYTES:
                raise NotHttp
            return False
        status = int(found[2])
        # 101 is final: no request asks for another protocol, so no answer to it can follow.
        if status >= HTTPStatus.OK or status == HTTPStatus.SWITCHING_PROTOCOLS:
            self.status = status
            self.is_reusable = found[1] == b"1.1"
        return True

    def _read_head(self, head: bytes) -> None:
        self.fields = list(_fields(head))
        if head.count(b"\n") > MAX_FIELDS:
            # How long the body is may stand in a field that is left out.
            self.is_reusable, self.is_complete = False, True
            return
        body, is_sound = _body_of(self.status, self.fields)
        self.is_reusable &= is_sound
        self._body = body
        rest, self._pending = self._pending, b""
        self._read_body(body, rest)

    def _read_body(self, body: Body, data: bytes) -> None:
        self.body += body.take(data)
        if body.ended:
            self.is_reusable &= body.is_sound
            self.is_complete = True
        elif len(self.body) >= self._body_bytes:
            self.is_reusable = False
            self.is_complete = True
        if len(self.body) > self._body_bytes:
            del self.body[self._body_bytes :]


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a head without its status line, as far as they keep to the form `name: value`.

    A line that is folded, which RFC 9112 forbids (section 5.2), is left out, and the field is what stands before it.
    """
    for line in head.split(b"\n", MAX_FIELDS + 1)[1 : MAX_FIELDS + 1]:
        name, colon, value = line.partition(b":")
        if colon and name and len(line) <= MAX_FIELD_BYTES and not name[:1].isspace():
            yield name.rstrip(), value.strip()


def _body_of(status: int, fields: list[tuple[bytes, bytes]]) -> tuple[Body, bool]:
    """How the body is delimited, and whether the connection can be used again after it (RFC 9112, section 6.3)."""
    lengths: set[bytes] = set()
    codings, is_kept = b"", True
    for name, value in fields:
        match name.lower():
            case b"content-length":
                lengths.update(part.strip() for part in value.split(b","))
            case b"transfer-encoding":
                codings = value.lower()
            case b"connection":
                is_kept = is_kept and b"close" not in value.lower()
    if status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED, HTTPStatus.SWITCHING_PROTOCOLS}:
        return Sized(0), is_kept and status != HTTPStatus.SWITCHING_PROTOCOLS
    if codings:
        chunked = codings.rpartition(b",")[2].strip() == b"chunked"
        # A length beside it is an attempt to smuggle, or the work of a broken server.
        return (Chunked(), is_kept and not lengths) if chunked else (Unbounded(), False)
    if len(lengths) == 1 and _DIGITS.fullmatch(length := lengths.pop()):
        return Sized(int(length)), is_kept
    return Unbounded(), False
