"""The processes of the hub: the app under uvicorn, from the listening socket to the graceful stop."""

import gc
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

import uvicorn
from fastapi import FastAPI

from hub.app import create_app
from hub.clock import SystemClock
from hub.cluster.roles import Role
from hub.errors import HubError
from hub.server.descriptors import fitted, raise_limit, report_lowered
from hub.server.http_limits import bounded
from hub.server.sockets import listening_socket
from hub.server.supervisor import Supervisor
from hub.settings import Settings
from hub.telemetry.log import configure

KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which nginx closes idle upstream connections, so that nginx is the side that closes."""
CONNECTIONS_SECONDS = 3
"""How long connections have to end when the hub stops: requests take milliseconds, and listeners are told to leave."""
PATIENCE_SECONDS = 10.0
"""How long one of several processes has beyond its graceful stop, before it is killed."""
COLLECTIONS = (20_000, 20, 50)
"""After how many new objects the youngest are looked at, and after how many such looks older and the oldest ones."""


class HubServer(uvicorn.Server):
    """uvicorn around the app: reports when it serves, and stops the hub before it waits for its connections.

    It runs the app's lifespan itself, because uvicorn turns an error in a lifespan into a traceback in the log.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._on_started = on_started
        self._lifespan = AsyncExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await self._lifespan.enter_async_context(self._app.router.lifespan_context(self._app))
        except OSError as wrong:
            place = f"{wrong.filename}: " if wrong.filename else ""
            raise HubError(f"The hub cannot start: {place}{wrong.strerror or wrong}.") from wrong
        except RuntimeError as wrong:
            raise HubError(f"The hub cannot start: {wrong}") from wrong
        await super().startup(sockets)
        _settle_heap()
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # First, because uvicorn waits for its connections, and a listener would stay until its stream ends.
        self._app.state.process.begin_stop()
        await super().shutdown(sockets)
        if not self.force_exit:
            # Not after a second signal: what is under way is then left as by a process that was killed.
            await self._lifespan.aclose()


def serve(settings: Settings, roles: frozenset[Role], on_started: Callable[[int], None], *, processes: int = 1) -> None:
    """Run these roles until SIGTERM or SIGINT, in this process or in several that share one port.

    `on_started` is given the port, 0 where there is none. Raises `OSError` when the address cannot be listened on, and
    `HubError`, which says why, when the hub cannot start.
    """
    # Before any process is forked: all of them accept on this one socket, and a wrong address is reported once.
    listening = _listen(settings, roles)
    port = int(listening.getsockname()[1]) if listening is not None else 0
    if processes == 1:
        _run_roles(settings, roles, listening, lambda: on_started(port))
        return
    configure(settings.log_level, settings.log_format, role="supervisor")
    patience = settings.shutdown_grace + CONNECTIONS_SECONDS + PATIENCE_SECONDS

    def work(on_ready: Callable[[], None]) -> None:
        _run_roles(settings, roles, listening, on_ready)

    Supervisor(processes, work, SystemClock(), patience=patience).run(lambda: on_started(port))


def _listen(settings: Settings, roles: frozenset[Role]) -> socket.socket | None:
    """The socket for requests; for a worker or scheduler that of its health port, if it has one."""
    if Role.WEB in roles:
        return listening_socket(settings.host, settings.port)
    return listening_socket(settings.host, settings.health_port) if settings.health_port else None


def _run_roles(
    settings: Settings, roles: frozenset[Role], listening: socket.socket | None, on_started: Callable[[], None]
) -> None:
    fitting, connections = fitted(settings, raise_limit())
    try:
        app = create_app(fitting, roles)
    except (ValueError, RuntimeError) as wrong:
        raise HubError(str(wrong)) from wrong
    report_lowered(settings, fitting)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded(connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CONNECTIONS_SECONDS,
    )
    HubServer(config, app, on_started).run(sockets=[] if listening is None else [listening])


def _settle_heap() -> None:
    """Exclude the objects that live as long as the process from garbage collection: scanning them takes tens of
    milliseconds, during which nothing is answered. Look at the others seldom: nearly all of them go with their request,
    without the collector, which would take a tenth of the processor time to find that out."""
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    gc.enable()
