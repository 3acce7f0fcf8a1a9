"""HTTP/1.1 connections with the limits that uvicorn does not set: on the time and the size of a request's head, and on
how many connections there are. Clients of HTTP/1.0 get what they can read."""

import asyncio
from typing import Any, ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hub.errors import BadRequest, HubError, Unavailable
from hub.stream import RETRY_BUSY, frames
from hub.telemetry.request_context import HEADER, offered_id, request_id

HEAD_SECONDS = 10.0
"""How long a client may take to send the head of a request."""
HEAD_BYTES = 65_536
LINGER_SECONDS = 5.0
"""How long a client may go on sending the body of a request that is answered already."""
WRITE_BYTES = 32 * 1024
"""What may wait in a connection's own buffer before its answer or its stream has to wait: nobody counts it."""
STREAM_PATH = "/v1/stream"


def bounded(max_connections: int, head_seconds: float = HEAD_SECONDS) -> type[asyncio.Protocol]:
    """A protocol for `uvicorn.Config(http=…)` that drops a connection whose request head is too slow or too long.

    uvicorn keeps silent and slow connections without limit, and each needs a descriptor. Beyond `max_connections` the
    oldest one on which no request is under way is dropped. Where there is none, a request on the new connection is
    answered 503, and it is closed.
    """
    limits = {"max_connections": max_connections, "head_seconds": head_seconds, "idle": {}}
    return type("BoundedProtocol", (_BoundedProtocol,), limits)


class _BoundedProtocol(HttpToolsProtocol):
    max_connections: ClassVar[int]
    head_seconds: ClassVar[float]
    idle: ClassVar[dict["_BoundedProtocol", None]]
    """Those of the process on which no request is under way, the oldest first."""

    _linger_timer: asyncio.TimerHandle | None = None
    _in_body = False
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # narrower
        super().connection_made(transport)
        transport.set_write_buffer_limits(WRITE_BYTES)
        if len(self.connections) > self.max_connections:
            self._make_room()
        self.idle[self] = None
        # From the first moment, because a connection that never sends a byte needs a descriptor as well.
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_linger_timer()
        self.idle.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Nearly every head arrives whole, and then there is nothing to time.
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._drop()
            elif self._head_timer is None:
                self._start_head_timer()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self.idle.pop(self, None)
        if self._head_timer is not None:
            self._stop_head_timer()
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0":
            # uvicorn offers no other place to choose the class. The app runs later, so nothing was sent yet.
            self.cycle.__class__ = _ResponseUntilClose

    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop_linger_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            if self._in_body:
                # What comes is thrown away. Closed at once, the client might lose the answer while it still sends.
                self._linger_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
            else:
                self.idle[self] = None

    def send_400_response(self, msg: str) -> None:
        # Plain text in uvicorn; here a problem, as of every other error.
        error = BadRequest("This is not a valid HTTP/1.1 request; nothing was accepted.")
        request = request_id(None)
        body = _problem(error, request)
        lines = b"".join(b"%b: %b\r\n" % header for header in _headers(body, b"application/problem+json", request))
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n%b\r\n%b" % (lines, body))
        self.transport.close()

    def _make_room(self) -> None:
        oldest = next(iter(self.idle), None)
        if oldest is not None:
            # No longer counted, although it is closed only in the next turn of the loop.
            del self.idle[oldest]
            self.connections.discard(oldest)
            oldest.transport.abort()
        else:
            # Answered and not dropped: the client learns that nothing was accepted, and when to try again.
            self.app = _overloaded

    def _stop_linger_timer(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._drop)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _drop(self) -> None:
        self._stop_head_timer()
        self.transport.abort()


class _ResponseUntilClose(RequestResponseCycle):
    """A response to HTTP/1.0, which knows no chunks: where its length is not known, it ends with the connection."""

    _length_unknown = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._length_unknown = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            # What uvicorn would decide later, if this were still open.
            self.chunked_encoding = False if self._length_unknown else None
        elif self._length_unknown:
            # uvicorn counts what is left of a body that is not chunked, and accepts no more than that.
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


async def _overloaded(scope: Any, _receive: Any, send: Any) -> None:
    """Answers for a process that has no descriptor to spare, without going through the app: 503, or to a listener what
    it understands."""
    request = request_id(offered_id(scope["headers"]))
    if scope["path"].endswith(STREAM_PATH):
        status, body = 200, frames.comment("too many connections are open") + frames.retry(*RETRY_BUSY)
        headers = _headers(body, b"text/event-stream; charset=utf-8", request)
    else:
        error = Unavailable("Too many connections are open; nothing was accepted.")
        status, body = error.status, _problem(error, request)
        headers = [*_headers(body, b"application/problem+json", request), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _problem(error: HubError, request: str) -> bytes:
    return orjson.dumps({**error.problem(), "request_id": request})


def _headers(body: bytes, media_type: bytes, request: str) -> list[tuple[bytes, bytes]]:
    """Of an answer after which the connection is closed."""
    return [
        (b"content-type", media_type),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (HEADER, request.encode()),
    ]
