"""Each request from its first moment to its last: it gets an id, an answer whatever fails, and its lines in the log."""

import re
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api.problems import respond
from hub.clock import Clock
from hub.errors import HubError
from hub.telemetry.access_log import Access, AccessLog
from hub.telemetry.request_context import HEADER, begin_request, offered_id

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
    """ASGI middleware, outside of all others. Streams pass through it unbuffered.

    Every answer gets `X-Request-ID`: what the request had, or a new id. The id is on every line that is logged for the
    request. After the answer come the access line, and a line of its own for a refused key and for a change by
    somebody who manages the hub.
    """

    def __init__(self, app: ASGIApp, *, access_log: AccessLog, clock: Clock) -> None:
        self._app = app
        self._access_log = access_log
        self._clock = clock
        self._refusals = 0
        self._refusals_since = clock.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = begin_request(offered_id(scope["headers"]))
        answer = _Answer(send, context.request_id.encode())
        began = self._clock.monotonic()
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - whatever was not foreseen is answered and logged, here alone
            _log.error("request.failed", route=_route(scope), error=type(error).__name__, exc_info=error)
            if not answer.status:
                failed = HubError("Something went wrong here; try again, and look at the hub's log if it stays.")
                await respond(failed)(scope, receive, answer.send)
        finally:
            seconds = self._clock.monotonic() - began
            status, route, client = answer.status, _route(scope), scope.get("client")
            address = client[0] if client else None
            method, query, is_probe = scope["method"], scope["query_string"], route in _PROBES
            self._access_log.record(
                Access(began, context, method, route, query, status or None, seconds, address, is_probe)
            )
        if status in _REFUSALS:
            self._log_refusal(scope, status, address)
        elif 200 <= status < 300 and method not in _SAFE:
            _log_change(scope, answer)

    def _log_refusal(self, scope: Scope, status: int, client: str | None) -> None:
        now = self._clock.monotonic()
        if now - self._refusals_since >= 60:
            self._refusals, self._refusals_since = 0, now
        self._refusals += 1
        if self._refusals <= REFUSALS_A_MINUTE:
            _log.warning("key.refused", method=scope["method"], route=_route(scope), status=status, client=client)
        elif self._refusals == REFUSALS_A_MINUTE + 1:
            _log.warning("key.refusals_many", advice="The others of this minute have only their access lines.")


class _Answer:
    """Passes an answer on with the id of its request, and remembers what the log says of it."""

    __slots__ = ("_request_id", "_send", "headers", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0
        """0 until the answer has begun."""
        self.headers: list[tuple[bytes, bytes]] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self.headers = [*message.get("headers", ()), (HEADER, self._request_id)]
        await self._send(message)


def _log_change(scope: Scope, answer: _Answer) -> None:
    """What was done, to which things; who did it is on every line of the request."""
    route: Any = scope.get("route")
    if route is None or not _NOT_MANAGEMENT.isdisjoint(route.tags):
        return
    # What was made is named by its address.
    made = [value.decode().rpartition("/")[2] for name, value in answer.headers if name == b"location"]
    named = [*scope.get("path_params", {}).values(), *made]
    # Nothing but ids and names: a path may hold text of any kind, such as an address.
    ids = [value for value in named if _NAME.fullmatch(str(value))]
    _log.info("action.completed", method=scope["method"], route=route.path_format, ids=ids)


def _route(scope: Scope) -> str | None:
    return getattr(scope.get("route"), "path_format", None)
