"""Counts each request by method, route and status."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.runtime import Process


class RequestCount:
    """ASGI middleware. A request counts when its answer begins, so that a stream counts while it lasts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                _count(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, counting)
        except Exception:
            # Answered further out.
            _count(scope, 500)
            raise


def _count(scope: Scope, status: int) -> None:
    process: Process = scope["app"].state.process
    # Never the path itself: anybody could make a series of each path they ask for.
    route = scope.get("route")
    process.core.metrics.requested(scope["method"], "" if route is None else route.path_format, status)
