"""One connection to a receiver, which carries one request at a time."""

import asyncio
from collections.abc import Callable
from typing import cast

import httpx

from channels.http.answer import AnswerParser, NotHttp

MAX_EARLY_BYTES = 64 * 1024
REST_SECONDS = 2.0
"""How long an answer may go on after its status is known. The status decides, and what follows it is only shown."""


class Connection(asyncio.Protocol):
    """Made by the event loop for each connection. `on_lost` is called when it is closed, by whichever side."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_lost: Callable[["Connection"], None]) -> None:
        self.idle_since = 0.0
        self._loop = loop
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._answer: AnswerParser | None = None
        self._answered: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rest_seconds = REST_SECONDS
        self._is_new = True
        self._early = b""

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, answer: AnswerParser, read_seconds: float | None) -> None:
        """Send a request and read its answer; the status must come within `read_seconds`.

        Afterwards the connection is open only if it can carry another request. Raises `httpx.TransportError` when no
        status came.
        """
        assert self._transport is not None  # noqa: S101 - a connection is handed out once it is made
        self._answer = answer
        self._answered = answered = self._loop.create_future()
        if read_seconds is not None:
            self._rest_seconds = min(REST_SECONDS, read_seconds)
            self._timer = self._loop.call_later(read_seconds, self._give_up)
        try:
            self._transport.write(request)
            if self._early:
                self.data_received(self._early)
            self._is_new, self._early = False, b""
            if not self.is_open:
                self._end_answer(_closed())
            await answered
        except asyncio.CancelledError:
            # The time of the attempt is over, or the hub stops. The receiver has answered nevertheless: to report that
            # the attempt was cut off would send the message again.
            answer.end()
            if not answer.is_complete:
                raise
        finally:
            self._answer = self._answered = None
            self._stop_timer()
            # A receiver may answer before it has read the whole request, and what is left of it would come before the
            # next one.
            if not answer.is_complete or not answer.is_reusable or self._transport.get_write_buffer_size():
                self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked, because the transports of uvloop are of no class of asyncio.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self._read_unasked(data)
            return
        had_status = answer.status != 0
        try:
            answer.feed(data)
        except NotHttp:
            self._finish(httpx.RemoteProtocolError("the answer is not valid HTTP"))
            return
        if answer.is_complete:
            self._finish(None)
        elif answer.status and not had_status:
            self._stop_timer()
            self._timer = self._loop.call_later(self._rest_seconds, self._give_up)

    def connection_lost(self, error: Exception | None) -> None:
        self._end_answer(_closed() if error is None else httpx.ReadError("the connection broke"))
        self._on_lost(self)

    def _read_unasked(self, data: bytes) -> None:
        if self._is_new and len(self._early) < MAX_EARLY_BYTES:
            # A server that has no room for a connection may say so before it has read a request.
            self._early += data
        else:
            # It would be taken for the answer to the next request.
            self.close()

    def _give_up(self) -> None:
        self._end_answer(httpx.ReadTimeout("no answer in time"))

    def _end_answer(self, unless_status: httpx.TransportError) -> None:
        """Take what has come as the answer; without a status the request fails with this error."""
        if self._answer is not None:
            self._answer.end()
            self._finish(None if self._answer.is_complete else unless_status)

    def _finish(self, error: httpx.TransportError | None) -> None:
        self._answer = None
        if self._answered is None or self._answered.done():
            return
        if error is None:
            self._answered.set_result(None)
        else:
            self._answered.set_exception(error)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _closed() -> httpx.TransportError:
    return httpx.RemoteProtocolError("the connection was closed before an answer came")
