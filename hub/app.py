"""The web application: every router over one open hub."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from hub.api import (
    channels,
    deliveries,
    docs,
    document,
    event_types,
    events,
    health,
    keys,
    problems,
    publishing,
    schedules,
    secrets,
    sources,
    stats,
    stream,
    subscriptions,
    tasks,
)
from hub.api.cors import Cors
from hub.api.head import HeadAsGet
from hub.api.limits import BodyLimit
from hub.api.paths import TrailingSlash
from hub.api.request_log import RequestLog
from hub.clock import Clock, SystemClock
from hub.cluster.roles import EVERY_ROLE, Role
from hub.runtime import open_process
from hub.settings import Settings
from hub.telemetry.access_log import AccessLog
from hub.telemetry.log import LogOutput, configure
from hub.telemetry.tracing import Tracing

ROUTERS = (
    publishing,
    events,
    event_types,
    subscriptions,
    sources,
    deliveries,
    channels,
    stream,
    tasks,
    schedules,
    stats,
    keys,
    docs,
    secrets,
    health,
)
DESCRIPTION = """Order and user events in; Slack, signed webhooks and email out; every attempt recorded, retried, and
watched live. Send a key as `Authorization: Bearer <key>`."""


def create_app(settings: Settings, roles: frozenset[Role] = EVERY_ROLE) -> FastAPI:
    """A process of the hub as an ASGI application; its lifespan opens the process and stops it.

    Without the role `web` it answers only how it is.
    """
    role = "" if roles == EVERY_ROLE else ",".join(sorted(roles))
    output, clock = configure(settings.log_level, settings.log_format, role=role), SystemClock()
    access_log = AccessLog(output, settings.access_log, clock)
    tracing = Tracing(settings.otlp_endpoint)
    app = FastAPI(
        title="Notification hub",
        version=version("notification-hub"),
        description=DESCRIPTION,
        lifespan=_lifespan(settings, tracing, access_log, output, roles),
        telemetry=tracing.telemetry,
        servers=[{"url": settings.root_path or "/"}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Given whole: an included router would be consulted for each request. See docs/decisions/0008.
        routes=[route for module in (ROUTERS if Role.WEB in roles else (health,)) for route in module.router.routes],
    )
    # As an attribute: it holds whether or not the proxy cuts the prefix off. The server's own option needs that.
    app.root_path = settings.root_path
    problems.install(app)
    document.install(app)
    # Before everything else of the app: no route ever reads more of a body than its limit.
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes, max_batch_bytes=settings.max_batch_bytes)
    _put_around(app, settings, access_log, clock)
    return app


def _lifespan(
    settings: Settings, tracing: Tracing, access_log: AccessLog, output: LogOutput, roles: frozenset[Role]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The lines of the last requests are written after the process has ended.
        with access_log.running():
            async with open_process(settings, tracing, roles=roles) as process:
                app.state.process, app.state.services = process, process.services
                process.core.metrics.watch_total(
                    "log_lines_dropped", "Lines that the reader of the log did not take.", lambda: output.dropped
                )
                yield

    return lifespan


def _put_around(app: FastAPI, settings: Settings, access_log: AccessLog, clock: Clock) -> None:
    """Put around the app, and around what the framework answers for it, what is to see every answer."""
    build = app.build_middleware_stack

    def count(method: str, route: str, status: int) -> None:
        app.state.process.core.metrics.requested(method, route, status)

    def build_all() -> ASGIApp:
        stack = Cors(build(), settings.cors_origins) if settings.cors_origins else build()
        logged = RequestLog(stack, access_log=access_log, clock=clock, count=count)
        # Outside of what looks at the route, because they pass on a copy of what the server gave them.
        return HeadAsGet(TrailingSlash(logged))

    app.build_middleware_stack = build_all  # type: ignore[method-assign] # middleware that is added stands inside
