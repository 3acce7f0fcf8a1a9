"""The clients with which people watch hear every event once, over breaks and a crash of the hub."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.interop.watchers import Page, Watch, Watcher, chromium, npm_eventsource, python_httpx_sse
from tests.plain_http import NO_TLS
from tests.redis_servers import RedisServer, free_port
from tests.serving import ServedHub, kept_on, serving

pytestmark = pytest.mark.interop

BREAKS = 3
QUICK = {"HUB_STREAM_MAX_AGE": "2", "HUB_STREAM_HEARTBEAT": "0.5"}
"""A connection ends after some two seconds."""


@pytest.fixture(params=["sqlite", "redis"])
def kept(request: pytest.FixtureRequest) -> dict[str, str]:
    server: RedisServer | None = request.getfixturevalue("valkey") if request.param == "redis" else None
    return kept_on(server)


async def publish(hub: ServedHub, count: int) -> list[str]:
    """The ids of new events."""
    headers = {"Authorization": f"Bearer {hub.key}"}
    events = [{"type": "stock.low", "data": number} for number in range(count)]
    async with httpx.AsyncClient(
        base_url=hub.url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False
    ) as api:
        answer = (await api.post("/v1/events", json=events)).raise_for_status()
    return [item["id"] for item in answer.json()["items"]]


@asynccontextmanager
async def watched_over_breaks_and_a_crash(
    directory: Path, watch: Watch, **settings: str
) -> AsyncIterator[tuple[Watcher, list[str]]]:
    """The watcher, once it heard all that was published, and the ids of that."""
    command = ("serve", "--port", str(free_port()))
    with serving(directory, *command, **QUICK, **settings) as hub:
        async with watch(hub.url, hub.key) as watcher:
            await watcher.until(lambda: watcher.connections > 0)
            published: list[str] = []
            while watcher.connections <= BREAKS:
                published += await publish(hub, 3)
                await watcher.hears(len(published))
            hub.process.kill()
            hub.stop()
            before = watcher.connections
            with serving(directory, *command, **QUICK, **settings) as again:
                published += await publish(again, 5)
                await watcher.hears(len(published))
                assert watcher.connections > before
                yield watcher, published


async def test_httpx_sse_hears_each_event_once(tmp_path: Path) -> None:
    async with watched_over_breaks_and_a_crash(tmp_path, python_httpx_sse) as (watcher, published):
        assert watcher.heard == published


async def test_eventsource_of_npm_hears_each_event_once(tmp_path: Path, kept: dict[str, str], typescript: Path) -> None:
    watch = partial(npm_eventsource, typescript)
    async with watched_over_breaks_and_a_crash(tmp_path, watch, **kept) as (watcher, published):
        assert watcher.heard == published
        assert not watcher.gave_up


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed")
class TestChromium:
    async def test_a_page_on_another_origin_hears_each_event_once(self, tmp_path: Path, kept: dict[str, str]) -> None:
        page, port = Page(), free_port()
        watch = partial(chromium, tmp_path / "profile", page, port)
        settings = {"HUB_CORS_ORIGINS": f"http://127.0.0.1:{port}", **kept}
        async with watched_over_breaks_and_a_crash(tmp_path, watch, **settings) as (watcher, published):
            assert watcher.heard == published
            assert not watcher.gave_up
            (first,) = watcher.other
            assert (first["accepted"], first["refused"]) == (202, 422)
            assert first["at"].startswith("/v1/events/evt_")

    async def test_a_page_on_an_origin_that_is_not_named_reads_nothing(self, tmp_path: Path) -> None:
        page, port = Page(), free_port()
        with serving(tmp_path, HUB_CORS_ORIGINS="https://console.example.com") as hub:
            async with chromium(tmp_path / "profile", page, port, hub.url, hub.key) as watcher:
                await watcher.until(lambda: bool(watcher.other))
                assert watcher.other == [{"failed": "TypeError"}]
                assert watcher.connections == 0
