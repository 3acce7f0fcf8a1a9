"""The clients with which people watch hear every event once, over breaks and a crash of the hub."""

import re
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
REFERENCE = Path(__file__).parents[2] / "docs/reference/stream.md"
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


async def subscribe_nothing(hub: ServedHub) -> None:
    """Where no event can be sent, so that each delivery is dead at once."""
    spec = {"name": "nobody", "event_types": ["*"], "channel": "webhook", "target": {"url": "http://127.0.0.1:9/"}}
    async with httpx.AsyncClient(
        base_url=hub.url, headers={"Authorization": f"Bearer {hub.key}"}, verify=NO_TLS, trust_env=False
    ) as api:
        (await api.post("/v1/subscriptions", json={**spec, "retry_schedule": []})).raise_for_status()


def pasted(hub: ServedHub) -> str:
    """A page with the script of the reference, which tells its server what it shows."""
    found = re.search(r"## In a browser\n.*?```js\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    assert found is not None
    script = found[1].replace("hub_…", hub.key)
    script = re.sub(r"([\"`])(/v1/stream)", rf"\g<1>{hub.url}\g<2>", script).replace("5000", "200")
    return f"""<!doctype html><meta charset="utf-8"><script type="module">
      let place = 0;
      const say = (what) => fetch("/said", {{ method: "POST", body: JSON.stringify({{ place: place++, ...what }}) }});
      console.log = (name, data) => say({{ heard: data.event_id, name }});
      console.error = (failed) => say({{ failed }});
      window.EventSource = class extends EventSource {{
        constructor(url) {{
          super(url);
          this.addEventListener("cursor", () => say({{ opened: true }}), {{ once: true }});
        }}
      }};
      {script}</script>"""


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

    async def test_the_page_of_the_reference_shows_each_dead_delivery_once(self, tmp_path: Path) -> None:
        """Also when the hub is away as the page is opened, and again later."""
        port, command = free_port(), ("serve", "--port", str(free_port()))
        settings = {"HUB_CORS_ORIGINS": f"http://127.0.0.1:{port}", **QUICK}
        with serving(tmp_path, *command, **settings) as hub:
            await subscribe_nothing(hub)
            page = Page(pasted(hub))
        async with chromium(tmp_path / "profile", page, port, hub.url, hub.key) as watcher:
            await watcher.until(lambda: {"failed": "Failed to fetch"} in watcher.other)
            published: list[str] = []
            for _ in range(2):
                with serving(tmp_path, *command, **settings) as again:
                    # Its stream begins when the page comes back; from then on nothing is missed.
                    await watcher.until(lambda: watcher.connections > 0)
                    published += await publish(again, 3)
                    await watcher.hears(len(published))
                    again.process.kill()
                    again.stop()
            assert watcher.heard == published

    async def test_a_page_on_an_origin_that_is_not_named_reads_nothing(self, tmp_path: Path) -> None:
        page, port = Page(), free_port()
        with serving(tmp_path, HUB_CORS_ORIGINS="https://console.example.com") as hub:
            async with chromium(tmp_path / "profile", page, port, hub.url, hub.key) as watcher:
                await watcher.until(lambda: bool(watcher.other))
                assert watcher.other == [{"failed": "TypeError"}]
                assert watcher.connections == 0
