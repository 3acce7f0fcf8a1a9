"""HEAD for every route that has GET: one rule, so that no route has to think of it."""

import asyncio
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """ASGI middleware. It has HEAD answered as GET, and leaves out the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    # No coroutine: each one on the way of a request costs it some microseconds.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return self._app(scope, receive, send)
        return self._head(scope, send)

    async def _head(self, scope: Scope, send: Send) -> None:
        waiting: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
        answered = asyncio.Event()

        async def request() -> Message:
            if waiting:
                return waiting.pop()
            # A stream ends when its client is gone, and otherwise would be sent to nobody.
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                answered.set()

        # A copy: the server goes by the method in its own scope when it frames the answer.
        await self._app({**scope, "method": "GET"}, request, send_head)
