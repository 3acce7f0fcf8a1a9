"""One listening process: the app under uvicorn, from the socket to the graceful stop."""

import gc
import resource
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

import uvicorn
from fastapi import FastAPI

from hub.app import create_app
from hub.errors import HubError
from hub.protocol import bounded
from hub.settings import Settings
from hub.sockets import listening_socket

KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which nginx closes its idle upstream connections, so that it is nginx who closes."""
CONNECTIONS_SECONDS = 3
"""How long connections get to end when the hub stops: requests take milliseconds, and listeners are told to go."""
DESCRIPTORS = 65_536
"""What is asked for at most; the hard limit of the process rules."""
DESCRIPTORS_OF_OUR_OWN = 128
"""Files, the store, the resolver."""


class HubServer(uvicorn.Server):
    """uvicorn around an open hub: says when it serves, and lets the hub stop before it waits for its connections.

    It runs the app's lifespan itself, because uvicorn's turns an error in it into a traceback in the log.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._on_started = on_started
        self._lifespan = AsyncExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await self._lifespan.enter_async_context(self._app.router.lifespan_context(self._app))
        except (OSError, RuntimeError) as wrong:
            raise HubError(f"The hub cannot start: {wrong}") from wrong
        await super().startup(sockets)
        _settle_heap()
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.hub.begin_stop()
        await super().shutdown(sockets)
        if not self.force_exit:
            await self._lifespan.aclose()


def serve(settings: Settings, on_started: Callable[[int], None]) -> None:
    """Serve every role in this process until SIGTERM or SIGINT; `on_started` is given the port.

    Raises `OSError` when the address cannot be listened on, `HubError` when the hub cannot start, saying why.
    """
    listening = listening_socket(settings.host, settings.port)
    port = int(listening.getsockname()[1])
    room = _raise_descriptor_limit() - DESCRIPTORS_OF_OUR_OWN - settings.max_in_flight
    try:
        app = create_app(settings)
    except (ValueError, RuntimeError) as wrong:
        raise HubError(str(wrong)) from wrong
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded(max(room, 16)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CONNECTIONS_SECONDS,
    )
    HubServer(config, app, lambda: on_started(port)).run(sockets=[listening])


def _settle_heap() -> None:
    """Spare the garbage collector what lives as long as the process: looking through it takes tens of milliseconds,
    during which nothing is answered."""
    gc.freeze()
    gc.enable()


def _raise_descriptor_limit() -> int:
    """Each listener and each attempt is a descriptor, and the usual soft limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
