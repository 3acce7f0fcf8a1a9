"""Pages of other origins: which may use the API in a browser (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
EXPOSED = (
    "Content-Disposition",
    "Idempotency-Key",
    "Idempotency-Replayed",
    "Last-Event-ID",
    "Location",
    "Retry-After",
    "X-Request-ID",
)
"""Headers of answers that a page may read besides those that every page may."""
PREFLIGHT_SECONDS = 7_200
"""How long a browser may remember what a preflight allowed; none remembers it longer."""


class Cors:
    """ASGI middleware that lets pages of these origins call `/v1/…`. It stands around all that answers: a page has to
    be able to read errors too, those that nobody foresaw among them.

    The routes that need no key stay closed to them: a page on the internet could otherwise have the browsers of a
    private network read the metrics of a hub there.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        # Any header: there are no cookies, so a page can send nothing on behalf of a visitor that it does not have.
        # Credentials are never allowed, and so no browser adds any of its own.
        self._open = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        is_open = scope["type"] == "http" and path.startswith("/v1/")
        await (self._open if is_open else self._app)(scope, receive, send)
