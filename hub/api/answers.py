"""Answers that are too large to be left to the server whole: it would keep them until the client has read them."""

import asyncio

from fastapi import Response
from starlette.types import Receive, Scope, Send

from hub.api.problems import respond
from hub.shares import MemoryBudget
from hub.shares.budget import full
from hub.telemetry.request_context import current_request

PIECE_BYTES = 32 * 1024
ANSWER_SECONDS = 120.0
"""How long a client may take to read an answer, before the connection is closed."""


class LargeAnswer(Response):
    """Sent piece by piece, each after the client has made room for it.

    Until then it is held by its tenant's share of the memory (`hub.shares`). Where that has no room, the request is
    answered 503 instead.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        memory: MemoryBudget = scope["app"].state.process.core.memory
        request = current_request()
        tenant, size = "" if request is None else request.tenant, len(self.body)
        if not memory.take(tenant, size):
            await respond(full())(scope, receive, send)
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._send(send)
        except TimeoutError:
            # The server closes the connection, because the answer is not whole.
            return
        finally:
            memory.give_back(tenant, size)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for place in range(0, len(self.body), PIECE_BYTES):
            piece = bytes(self.body[place : place + PIECE_BYTES])
            more = place + PIECE_BYTES < len(self.body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})
