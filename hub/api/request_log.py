"""Each request from its first moment to its last: it gets an id, is counted, and has its lines in the log."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.clock import Clock
from hub.telemetry.access_log import Access, AccessLog
from hub.telemetry.request_context import HEADER, RequestContext, begin_request, offered_id

REFUSALS_A_MINUTE = 20
"""Lines about refused keys; somebody who guesses keys must not fill the disk. Each has its access line all the same."""
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Numbers, because each answer is looked up here, and an HTTPStatus takes long to hash.
_REFUSALS = frozenset({401, 403})
_NOT_MANAGEMENT = frozenset({"publish", "live"})
"""Tags of the routes that change nothing which an operator manages."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_log = structlog.get_logger(__name__)


class RequestLog:
    """ASGI middleware around the whole app, also around what answers for it. Streams pass through it unbuffered.

    Every answer gets `X-Request-ID`: what the request had, or a new id. The id is on every line that is logged for the
    request. After the answer come the access line, and a line of its own for a refused key and for a change by
    somebody who manages the hub.

    `count` is given the method, the route and the status once an answer begins, so that a stream counts while it lasts.
    """

    def __init__(
        self, app: ASGIApp, *, access_log: AccessLog, clock: Clock, count: Callable[[str, str, int], None]
    ) -> None:
        self._app = app
        self._access_log = access_log
        self._clock = clock
        self._count = count
        self._refusals = 0
        self._refusals_since = clock.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = begin_request(offered_id(scope["headers"]))
        method, began = scope["method"], self._clock.monotonic()
        status: int | None = None
        headers: list[tuple[bytes, bytes]] = []

        async def send_with_id(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"] = [*message.get("headers", ()), (HEADER, context.request_id.encode())]
                # Never the path itself: anybody could make a series of each path they ask for.
                self._count(method, _route(scope) or "", status)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - the framework has answered it, and raises it for this line
            _log.error("request.failed", route=_route(scope), error=type(error).__name__, exc_info=error)
        finally:
            self._record(scope, context, began, status)
        if status in _REFUSALS:
            self._log_refusal(scope, status)
        elif status is not None and 200 <= status < 300 and method not in _SAFE:
            _log_change(scope, headers)

    def _record(self, scope: Scope, context: RequestContext, began: float, status: int | None) -> None:
        method, route, query, client = scope["method"], _route(scope), scope["query_string"], _client(scope)
        seconds = self._clock.monotonic() - began
        self._access_log.record(
            Access(began, context, method, route, query, status, seconds, client, is_probe=route in _PROBES)
        )

    def _log_refusal(self, scope: Scope, status: int) -> None:
        now = self._clock.monotonic()
        if now - self._refusals_since >= 60:
            self._refusals, self._refusals_since = 0, now
        self._refusals += 1
        if self._refusals <= REFUSALS_A_MINUTE:
            _log.warning(
                "key.refused", method=scope["method"], route=_route(scope), status=status, client=_client(scope)
            )
        elif self._refusals == REFUSALS_A_MINUTE + 1:
            _log.warning("key.refusals_many", advice="The others of this minute have only their access lines.")


def _log_change(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """What was done, to which things; who did it is on every line of the request."""
    route: Any = scope.get("route")
    if route is None or not _NOT_MANAGEMENT.isdisjoint(route.tags):
        return
    # What was made is named by its address.
    made = [value.decode().rpartition("/")[2] for name, value in headers if name == b"location"]
    named = [*scope.get("path_params", {}).values(), *made]
    # Nothing but ids and names: a path may hold text of any kind, such as an address.
    ids = [value for value in named if _NAME.fullmatch(str(value))]
    _log.info("action.completed", method=scope["method"], route=route.path_format, ids=ids)


def _route(scope: Scope) -> str | None:
    return getattr(scope.get("route"), "path_format", None)


def _client(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None
