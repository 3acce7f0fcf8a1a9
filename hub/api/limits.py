"""A limit on the bodies of requests: each is collected before the app runs, and refused where it is too large."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api.problems import respond
from hub.errors import BadRequest, HubError, TooLarge
from hub.media_types import CLOUDEVENTS_BATCH, NDJSON, media_type
from hub.publishing.rawjson import first_byte

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""
_BATCHES = (NDJSON, CLOUDEVENTS_BATCH)


class BodyLimit:
    """ASGI middleware. A batch (NDJSON, CloudEvents batch, JSON that begins with `[`) may be larger than one event."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_batch_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_batch_bytes = max_batch_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read(scope, receive)
        except TimeoutError:
            await respond(BadRequest("The body took too long to arrive."))(scope, receive, send)
            return
        except HubError as error:
            await respond(error)(scope, receive, send)
            return
        if body is None:
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            # The body once; after that the app can only hear that the client went away.
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, or None when the client went away."""
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        is_batch = media_type(headers.get(b"content-type", b"").decode("latin-1")) in _BATCHES
        # Refused before a byte is read. The limit of a batch, because the first byte may still show that it is one.
        if declared.isdigit() and int(declared) > self._max_batch_bytes:
            raise self._too_large(is_batch=True)
        chunks: list[bytes] = []
        size, opening = 0, b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            # White space and a byte order mark may arrive before the rest.
            opening = opening or first_byte(chunk)
            is_batch = is_batch or opening == b"["
            size += len(chunk)
            if size > (self._max_batch_bytes if is_batch else self._max_body_bytes):
                raise self._too_large(is_batch=is_batch)
            if not message.get("more_body", False):
                return b"".join([*chunks, chunk]) if chunks else chunk
            chunks.append(chunk)

    def _too_large(self, *, is_batch: bool) -> TooLarge:
        limit, setting = (
            (self._max_batch_bytes, "HUB_MAX_BATCH_BYTES") if is_batch else (self._max_body_bytes, "HUB_MAX_BODY_BYTES")
        )
        return TooLarge(f"The body may have {limit} bytes at most: send less. The operator can raise {setting}.")
