"""Paths of requests: one that ends with a slash too many leads to the same route as without it."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlash:
    """ASGI middleware that leaves out one slash at the end of a path.

    The framework would answer with a redirect to the host that the client named, and over plain HTTP behind a proxy
    that ends TLS: a client that follows it sends its key and its body there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    # No coroutine: each one on the way of a request costs it some microseconds.
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            # As it was sent: an encoded slash at the end belongs to the name before it.
            raw = scope.get("raw_path") or scope["path"].encode()
            if raw.endswith(b"/"):
                scope = {**scope, "path": scope["path"][:-1], "raw_path": raw[:-1]}
        return self._app(scope, receive, send)
