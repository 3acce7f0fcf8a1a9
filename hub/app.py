"""The web application: every router over one open hub."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from hub.api import (
    channels,
    deliveries,
    document,
    event_types,
    events,
    health,
    keys,
    problems,
    publishing,
    schedules,
    secrets,
    stats,
    stream,
    subscriptions,
    tasks,
)
from hub.api.limits import BodyLimit
from hub.cluster.roles import EVERY_ROLE, Role
from hub.runtime import open_process
from hub.settings import Settings
from hub.telemetry.log import configure
from hub.telemetry.tracing import Tracing

ROUTERS = (
    publishing,
    events,
    event_types,
    subscriptions,
    deliveries,
    channels,
    stream,
    tasks,
    schedules,
    stats,
    keys,
    secrets,
    health,
)
DESCRIPTION = """Order and user events in; Slack, signed webhooks and email out; every attempt recorded, retried, and
watched live. Send a key as `Authorization: Bearer <key>`."""


def create_app(settings: Settings, roles: frozenset[Role] = EVERY_ROLE) -> FastAPI:
    """A process of the hub as an ASGI application; its lifespan opens the process and stops it.

    Without the role `web` it answers only how it is.
    """
    configure(settings.log_level, settings.log_format, role="" if roles == EVERY_ROLE else ",".join(sorted(roles)))
    tracing = Tracing(settings.otlp_endpoint)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_process(settings, tracing, roles=roles) as process:
            app.state.process, app.state.services = process, process.services
            yield

    app = FastAPI(
        title="Notification hub",
        version=version("notification-hub"),
        description=DESCRIPTION,
        lifespan=lifespan,
        telemetry=tracing.telemetry,
        # Given whole: an included router would be consulted for each request. See docs/decisions/0008.
        routes=[route for module in (ROUTERS if Role.WEB in roles else (health,)) for route in module.router.routes],
    )
    problems.install(app)
    document.install(app)
    # Before everything else of the app: no route ever reads more of a body than its limit.
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes, max_batch_bytes=settings.max_batch_bytes)
    return app
