"""A limit on the bodies of requests: each is read when the app asks for it, and refused where it is too large."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.errors import BadRequest, TooLarge
from hub.media_types import CLOUDEVENTS_BATCH, NDJSON, media_type
from hub.publishing.rawjson import first_byte
from hub.shares.budget import ALLOWANCE_BYTES, MemoryBudget, full
from hub.telemetry.request_context import current_request

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""
_BATCHES = (NDJSON, CLOUDEVENTS_BATCH)


class BodyLimit:
    """ASGI middleware. A batch (NDJSON, CloudEvents batch, JSON that begins with `[`) may be larger than one event.

    Nothing is read before the app asks for it, which is after it has looked at the key. What is read is held by the
    tenant's share of the memory (`hub.shares`) until the request is answered.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_batch_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_batch_bytes = max_batch_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._max_body_bytes, self._max_batch_bytes)
        try:
            await self._app(scope, body.receive, send)
        except ClientDisconnect:
            # There is nobody to answer.
            return
        finally:
            body.close()


class _Body:
    """The body of one request."""

    __slots__ = ("_held", "_is_read", "_max_batch_bytes", "_max_body_bytes", "_receive", "_scope", "_tenant")

    def __init__(self, scope: Scope, receive: Receive, max_body_bytes: int, max_batch_bytes: int) -> None:
        self._scope = scope
        self._receive = receive
        self._max_body_bytes = max_body_bytes
        self._max_batch_bytes = max_batch_bytes
        self._is_read = False
        self._tenant = ""
        self._held = 0

    async def receive(self) -> Message:
        """The whole body as one message; after that the app can only hear that the client went away.

        Raises `TooLarge`, `BadRequest` when the body takes too long, and `Unavailable` when there is no room for it.
        """
        if self._is_read:
            return await self._receive()
        self._is_read = True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read()
        except TimeoutError:
            raise BadRequest("The body took too long to arrive.") from None
        if body is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    def close(self) -> None:
        """The body is no longer needed."""
        if self._held:
            self._budget.give_back(self._tenant, self._held)
            self._held = 0

    async def _read(self) -> bytes | None:
        """The whole body, or None when the client went away."""
        headers = dict(self._scope["headers"])
        declared = headers.get(b"content-length", b"")
        is_batch = media_type(headers.get(b"content-type", b"").decode("latin-1")) in _BATCHES
        # Refused before a byte is read. The limit of a batch, because the first byte may still show that it is one.
        if declared.isdigit() and int(declared) > self._max_batch_bytes:
            raise self._too_large(is_batch=True)
        chunks: list[bytes] = []
        size, opening = 0, b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            # White space and a byte order mark may arrive before the rest.
            opening = opening or first_byte(chunk)
            is_batch = is_batch or opening == b"["
            size += len(chunk)
            if size > (self._max_batch_bytes if is_batch else self._max_body_bytes):
                raise self._too_large(is_batch=is_batch)
            if size > ALLOWANCE_BYTES:
                self._hold(size)
            if not message.get("more_body", False):
                return b"".join([*chunks, chunk]) if chunks else chunk
            chunks.append(chunk)

    def _hold(self, size: int) -> None:
        if not self._held:
            request = current_request()
            self._tenant = "" if request is None else request.tenant
        if not self._budget.take(self._tenant, size - self._held):
            raise full()
        self._held = size

    @property
    def _budget(self) -> MemoryBudget:
        budget: MemoryBudget = self._scope["app"].state.process.core.memory
        return budget

    def _too_large(self, *, is_batch: bool) -> TooLarge:
        limit, setting = (
            (self._max_batch_bytes, "HUB_MAX_BATCH_BYTES") if is_batch else (self._max_body_bytes, "HUB_MAX_BODY_BYTES")
        )
        return TooLarge(f"The body may have {limit} bytes at most: send less. The operator can raise {setting}.")
