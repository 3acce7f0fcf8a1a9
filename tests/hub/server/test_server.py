"""The app under uvicorn: where it listens, how it starts, and in which order it stops."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from hub.cluster.roles import Role
from hub.errors import HubError
from hub.server.server import HubServer, _listen
from hub.server.sockets import listening_socket
from hub.settings import Settings
from hub.testing.patience import PATIENCE_SECONDS, patience, soon
from tests.plain_http import NO_TLS
from tests.serving import serving


def test_a_stopped_hub_leaves_with_its_listeners_and_starts_again_where_it_was(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        key = first.key
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.stream(
            "GET", f"{first.url}/v1/stream", headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS
        ) as stream:
            lines = stream.iter_lines()
            assert any(line.startswith("retry:") for line in iter(lines.__next__, ""))
            first.process.terminate()
            assert any(line.startswith("retry:") for line in lines)
        assert first.stop() in {0, -15}
    with serving(tmp_path) as second:
        assert second.key == key
        assert not any(key in line for line in second.lines)


def test_every_role_listens_where_it_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, HUB_HOST="::1") as served:
        assert served.url.startswith("http://[::1]:")
        port = int(served.url.rsplit(":", 1)[1])
        with socket.create_connection(("::1", port)), pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


@dataclass
class Stopping:
    """Stands where an open process stands, and records what it is told."""

    steps: list[str]
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def begin_stop(self) -> None:
        self.steps.append("told to stop")
        self.told.set()


def app_with(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def answer_when_told_to_stop() -> None:
        app.state.process.steps.append("asked")
        await app.state.process.told.wait()

    return app


def server_of(app: FastAPI, on_started: Callable[[], None]) -> HubServer:
    return HubServer(uvicorn.Config(app, lifespan="off", log_config=None), app, on_started)


async def test_the_process_is_told_to_stop_before_connections_are_waited_for_and_closed_after() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.process = Stopping(steps)
        yield
        steps.append("closed")

    thresholds = gc.get_threshold()
    serves = asyncio.Event()
    server = server_of(app_with(lifespan), serves.set)
    with closing(listening_socket("127.0.0.1", 0)) as listening:
        serving_ = asyncio.create_task(server.serve([listening]))
        try:
            await soon(serves.wait())
            async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
                asking = asyncio.create_task(client.get(f"http://127.0.0.1:{listening.getsockname()[1]}/"))
                async with patience():
                    while not steps:
                        await asyncio.sleep(0.001)
                server.should_exit = True
                assert (await soon(asking)).status_code == 200
            await soon(serving_)
        finally:
            gc.unfreeze()
            gc.set_threshold(*thresholds)
    assert steps == ["asked", "told to stop", "closed"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no channel"), "no channel"),
        (PermissionError("no directory"), "no directory"),
        (PermissionError(13, "Permission denied", "/var/lib/hub/tmp"), "/var/lib/hub/tmp: Permission denied"),
    ],
)
async def test_a_lifespan_that_fails_is_one_error_that_says_so(error: Exception, said: str) -> None:
    async def fail() -> None:
        raise error

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await fail()
        yield

    with pytest.raises(HubError, match=f"The hub cannot start: {said}"):
        await server_of(app_with(lifespan), lambda: None).startup()


def test_a_process_without_requests_listens_on_its_health_port_or_nowhere() -> None:
    for role in (Role.WORKER, Role.SCHEDULER):
        assert _listen(Settings(health_port=0), frozenset({role})) is None
    with closing(listening_socket("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with closing(_listen(Settings(health_port=port), frozenset({Role.WORKER})) or socket.socket()) as listening:
        assert listening.getsockname() == ("127.0.0.1", port)
