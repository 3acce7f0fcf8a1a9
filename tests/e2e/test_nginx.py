"""F47: behind nginx as the guide sets it up, the hub is as quick, as patient and as strict as without."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest

from hub.api.limits import BODY_SECONDS
from hub.server.http_limits import HEAD_SECONDS
from hub.server.server import KEEP_ALIVE_SECONDS
from hub.settings import Settings
from hub.testing.patience import PATIENCE_SECONDS, patience
from tests.e2e.nginx import Nginx, directive, prefixed_block, server_block
from tests.e2e.tenant import Tenant
from tests.faults.hub import Hub
from tests.faults.hub_process import ADMIN_KEY
from tests.redis_servers import RedisServer, free_port

pytestmark = pytest.mark.nginx

HEARTBEAT_SECONDS = 0.5
SHORTENED = {"proxy_read_timeout": "2s", "client_header_timeout": "1s"}
"""Both times of the guide, shorter by the same measure as the heartbeat is, or more."""
EVENT_BYTES, BATCH_BYTES = 262_144, 8 * 1024 * 1024


@pytest.fixture(scope="module")
def hub(valkey: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Two web processes and a worker."""
    settings = {"store_url": valkey.url(), "stream_heartbeat": str(HEARTBEAT_SECONDS)}
    hub = Hub(tmp_path_factory.mktemp("hub"), settings, ("web", "web", "worker"))
    asyncio.run(hub.start())
    yield hub
    asyncio.run(hub.kill())


@pytest.fixture(scope="module")
def nginx(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    ports = [web.port for web in hub.having("web")]
    with Nginx(tmp_path_factory.mktemp("front") / "nginx", ports, SHORTENED) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that knows the prefix under which it is shown."""
    hub = Hub(tmp_path_factory.mktemp("prefixed"), {"root_path": "/hub"})
    asyncio.run(hub.start())
    yield hub
    asyncio.run(hub.kill())


def trust(nginx: Nginx) -> ssl.SSLContext:
    context = ssl.create_default_context()
    nginx.authority.configure_trust(context)
    return context


@asynccontextmanager
async def visitor(nginx: Nginx) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(
        base_url=nginx.url, headers=headers, verify=trust(nginx), timeout=PATIENCE_SECONDS, trust_env=False
    ) as client:
        yield client


@pytest.fixture
async def tenant(nginx: Nginx) -> AsyncIterator[Tenant]:
    async with visitor(nginx) as client:
        yield Tenant(client, "default")


def test_nginx_takes_the_block_of_the_guide_without_a_warning(nginx: Nginx) -> None:
    checked = nginx.check()
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


def test_the_numbers_of_the_guide_agree_with_the_hub_s() -> None:
    settings = Settings()
    seconds = {name: float(directive(name).removesuffix("s")) for name in ("keepalive_timeout", "proxy_read_timeout")}
    assert seconds["keepalive_timeout"] < KEEP_ALIVE_SECONDS
    assert seconds["proxy_read_timeout"] == 4 * settings.stream_heartbeat
    assert directive("client_header_timeout") == f"{HEAD_SECONDS:g}s"
    assert directive("client_body_timeout") == f"{BODY_SECONDS:g}s"
    assert directive("client_max_body_size") == f"{settings.max_batch_bytes // 2**20}m"
    assert directive("client_body_buffer_size") == f"{settings.max_body_bytes // 2**10}k"
    assert re.findall(r"may have (\d+) bytes", server_block()) == [str(settings.max_batch_bytes)]


async def test_a_listener_sees_an_event_before_another_is_published(tenant: Tenant) -> None:
    """Red when nginx keeps answers back until one of its buffers is full, as it does by default."""
    async with tenant.listening() as events:
        for number in range(3):
            published = await tenant.publish(data=number)
            async with patience():
                while (await anext(events)).json()["id"] != published:
                    pass


async def test_a_quiet_stream_outlives_the_time_that_nginx_waits_for_a_byte(tenant: Tenant) -> None:
    async with tenant.listening() as events:
        await asyncio.sleep(3)
        published = await tenant.publish()
        async with patience():
            assert (await anext(events)).json()["id"] == published


async def test_the_hub_asks_every_proxy_not_to_buffer_its_stream(hub: Hub) -> None:
    async with hub.client() as direct, direct.stream("GET", "/v1/stream") as stream:
        assert stream.headers["x-accel-buffering"] == "no"
        assert "no-store" in stream.headers["cache-control"] or "no-cache" in stream.headers["cache-control"]


@pytest.mark.parametrize(
    "body",
    [b'{"type":"a.b","data":"' + b"x" * EVENT_BYTES + b'"}', b"[" + b" " * (BATCH_BYTES - 1) + b"]"],
    ids=["event", "batch"],
)
async def test_what_is_too_large_gets_the_same_answer_as_without_nginx(tenant: Tenant, hub: Hub, body: bytes) -> None:
    content: Mapping[str, str] = {"Content-Type": "application/json"}
    async with hub.client() as client:
        direct = await client.post("/v1/events", content=body, headers=content)
    proxied = await tenant.api.post("/v1/events", content=body, headers=content)
    assert (proxied.status_code, proxied.headers["content-type"]) == (413, "application/problem+json")
    # nginx refuses a batch by itself, before the hub sees the request.
    told = [
        {name: value for name, value in answer.json().items() if name != "request_id"} for answer in (proxied, direct)
    ]
    assert told[0] == told[1]


async def test_a_batch_of_the_largest_size_reaches_the_hub(tenant: Tenant) -> None:
    body = b"[" + b" " * (BATCH_BYTES - 2) + b"]"
    answer = await tenant.api.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad request")


def descriptors(hub: Hub) -> int:
    return sum(web.descriptors() for web in hub.having("web"))


def test_a_head_that_comes_in_drips_is_cut_off_and_never_reaches_the_hub(nginx: Nginx, hub: Hub) -> None:
    # nginx counts from the connection, which may be some time ago when the head is sent.
    began = monotonic()
    with (
        socket.create_connection(("127.0.0.1", nginx.port), PATIENCE_SECONDS) as plain,
        trust(nginx).wrap_socket(plain, server_hostname="127.0.0.1") as slow,
    ):
        open_before = descriptors(hub)
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: hub.example.com\r\n")
        slow.settimeout(0.2)
        answer = b"."
        while answer:
            try:
                slow.sendall(b"a")
                answer = slow.recv(1_000)
            except TimeoutError:
                continue
            except OSError:
                break
        assert monotonic() - began > 0.5
        assert descriptors(hub) <= open_before


async def test_a_web_process_that_is_killed_is_not_noticed(tenant: Tenant, hub: Hub) -> None:
    await hub.having("web")[1].kill()
    assert len({await tenant.publish(data=number) for number in range(20)}) == 20
    await hub.start()


async def test_without_any_web_process_the_answer_is_the_hub_s_own_problem(tmp_path: Path) -> None:
    with Nginx(tmp_path / "nginx", [free_port(), free_port()]) as nginx:
        async with visitor(nginx) as client:
            answer = await client.post("/v1/events", json={"type": "a.b"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"] == "urn:notification-hub:problem:unavailable"


async def test_without_any_web_process_an_event_source_is_told_to_come_back(tmp_path: Path) -> None:
    """It would never try again after a status other than 200."""
    with Nginx(tmp_path / "nginx", [free_port(), free_port()]) as nginx:
        async with visitor(nginx) as client:
            answer = await client.get("/v1/stream?ticket=canary", headers={"Origin": "https://console.example.com"})
        logged = (nginx.directory / "access.log").read_text()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.text == "retry: 3000\n"
    assert '"GET /v1/stream" 200' in logged
    assert "canary" not in logged


async def test_what_the_processes_count_is_not_for_everybody(tenant: Tenant) -> None:
    assert (await tenant.api.get("/metrics")).status_code == 404


@pytest.mark.parametrize("cut_off", [False, True])
async def test_under_a_prefix_every_address_that_the_hub_gives_leads_back_to_it(
    prefixed: Hub, tmp_path: Path, cut_off: bool
) -> None:
    ports = [prefixed.web.port] * 2
    with Nginx(tmp_path / "nginx", ports, block=prefixed_block(cut_off=cut_off)) as nginx:
        async with visitor(nginx) as client:
            accepted = await client.post("/hub/v1/events", json={"type": "stock.low", "data": 1})
            assert accepted.status_code == 202, accepted.text
            found = await client.get(accepted.headers["location"])
            assert found.json()["id"] == accepted.json()["id"]
            (server,) = (await client.get("/hub/openapi.json")).json()["servers"]
            assert (await client.get(f"{server['url']}/livez")).status_code == 200
            page = await client.get("/hub/docs")
            for place in re.findall(r'(?:src|href)="([^"]+)"', page.text):
                assert (await client.get(str(page.url.join(place)))).status_code == 200
            assert (await client.get("/hub/metrics")).status_code == 404
            assert (await client.get("/v1/events")).status_code == 404


async def test_under_a_prefix_a_listener_comes_back_when_no_web_process_answers(tmp_path: Path) -> None:
    with Nginx(tmp_path / "nginx", [free_port(), free_port()], block=prefixed_block(cut_off=False)) as nginx:
        async with visitor(nginx) as client:
            answer = await client.get("/hub/v1/stream")
    assert (answer.status_code, answer.text) == (200, "retry: 3000\n")
