"""Stored data of a release opened and served by the code of this checkout, on a clock that stands where it was
written, so that nothing in it is out of date."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn

from hub.testing.clock import ManualClock
from hub.testing.patience import PATIENCE_SECONDS, patience
from tests.api_support import ADMIN_KEY, open_api, settings_for
from tests.plain_http import NO_TLS
from tests.redis_servers import RedisServer
from tests.serving import HUB, surroundings

ROOT = Path(__file__).parents[2]
RELEASES = sorted(path.parent for path in Path(__file__).parent.glob("*/expected.json"))
"""The folders of all releases that are kept."""
SECRET_KEY = "the-secret-key-that-every-release-is-written-with"
PREFIX = "hub"
"""The prefix of everything in a release's Redis."""
DATABASE = "hub.db"
DUMP = "dump.rdb"
LATER = timedelta(seconds=60)
"""How long after the release ended the data is opened: the leases of its processes have run out."""


@dataclass(frozen=True, slots=True)
class Served:
    """A hub that serves a release's data over HTTP; it sends nothing of its own accord as long as the clock stands."""

    url: str
    clock: ManualClock

    def client(self, key: str = ADMIN_KEY) -> httpx.AsyncClient:
        """A client with this key, by default the operator's."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False
        )


def sqlite_url(database: Path, directory: Path) -> str:
    """The address of a copy of a release's SQLite file."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(database, directory / DATABASE)
    return f"sqlite:///{directory / DATABASE}"


def redis_with(dump: Path | None, binary: Path, directory: Path) -> RedisServer:
    """A server, not started yet, that begins with a copy of a release's dump, or empty."""
    directory.mkdir(parents=True, exist_ok=True)
    if dump is not None:
        shutil.copyfile(dump, directory / DUMP)
    # With an append-only file it would begin with that one, which is not there.
    return RedisServer(binary, directory, appendonly="no", dbfilename=DUMP, rdbcompression="yes")


@asynccontextmanager
async def served(store_url: str, directory: Path, written_at: str) -> AsyncIterator[Served]:
    """A hub of this checkout on stored data that was written until then."""
    clock = ManualClock(datetime.fromisoformat(written_at) + LATER)
    settings = settings_for(directory, store_url=store_url, secret_key=SECRET_KEY)
    async with open_api(settings, clock) as api, _listening(api.transport.app) as url:
        yield Served(url, clock)


@asynccontextmanager
async def _listening(app: Any) -> AsyncIterator[str]:
    """The address at which an app answers, streams among it, which no transport inside the process can carry."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False))
    # Named as TCP, because the event loop lets small answers wait for others on a socket that is not.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve([listener]))
        try:
            async with patience():
                while not server.started:
                    await asyncio.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def run(directory: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command of `hub` in this directory, once it has ended."""
    return subprocess.run(
        [HUB, *arguments],
        cwd=directory,
        # PYTHONPATH first, so that a copy of the tree with a defect put in runs its own code.
        env=surroundings(COLUMNS="1000", PYTHONPATH=str(ROOT), **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def read_json(path: Path) -> Mapping[str, Any]:
    read: Mapping[str, Any] = orjson.loads(path.read_bytes())
    return read
