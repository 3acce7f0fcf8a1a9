"""The live stream of a running hub, as clients of all kinds meet it."""

import asyncio
import json
import random
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from httpx_sse import ServerSentEvent, aconnect_sse

from hub.testing.patience import PATIENCE_SECONDS
from tests.api_support import ORDER
from tests.hub.stream.ears import Ear, Heard, Parser
from tests.plain_http import NO_TLS
from tests.redis_servers import RedisServer
from tests.serving import ServedHub, kept_on, serving


@pytest.fixture(scope="module")
def hub(server: RedisServer | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with serving(tmp_path_factory.mktemp("hub"), HUB_STREAM_BUFFER="50", **kept_on(server)) as hub:
        yield hub


@pytest.fixture
async def api(hub: ServedHub) -> AsyncIterator[httpx.AsyncClient]:
    async with client(hub) as api:
        yield api


def client(hub: ServedHub, key: str | None = None) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {key or hub.key}"}
    return httpx.AsyncClient(
        base_url=hub.url, headers=headers, timeout=PATIENCE_SECONDS, limits=limits, verify=NO_TLS, trust_env=False
    )


async def publish(api: httpx.AsyncClient, *types: str, count: int = 1) -> list[str]:
    """Publish one event of each type, `count` times; gives their ids."""
    events = [{"type": name, "data": {"secret": "canary"}} for name in types or ("stock.low",) for _ in range(count)]
    ids: list[str] = []
    for start in range(0, len(events), 1_000):
        answer = await api.post("/v1/events", json=events[start : start + 1_000])
        assert answer.status_code == 202, answer.text
        ids += [item["id"] for item in answer.json()["items"]]
    return ids


async def holder(api: httpx.AsyncClient, tenant: str, *scopes: str) -> tuple[str, str]:
    """The text and the id of a new key of a tenant, which is made if it is missing."""
    made = await api.post("/v1/tenants", json={"id": tenant, "name": tenant})
    assert made.status_code in {201, 409}, made.text
    issued = (await api.post("/v1/keys", json={"name": "a key", "scopes": scopes, "tenant": tenant})).json()
    return issued["key"], issued["id"]


@asynccontextmanager
async def listening(api: httpx.AsyncClient, **query: str) -> AsyncIterator[Ear]:
    """Follow the stream over a connection of its own."""
    header = {"Last-Event-ID": query.pop("header")} if "header" in query else {}
    async with api.stream("GET", "/v1/stream", params=query, headers=header) as response:
        assert response.status_code == 200
        ear = Ear(response.aiter_raw())
        yield ear
        await ear.leaves()


async def test_an_order_is_watched_from_acceptance_to_delivery(api: httpx.AsyncClient) -> None:
    spec = {"name": "all", "event_types": ["order.*"], "channel": "file", "target": {"name": "orders"}}
    subscription = (await api.post("/v1/subscriptions", json=spec)).json()["id"]
    async with aconnect_sse(api, "GET", "/v1/stream") as source:
        headers = source.response.headers
        assert headers["content-type"].startswith("text/event-stream")
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
        assert "connection" not in headers
        event = (await api.post("/v1/orders/1001/events", json={"type": "order.created", "data": ORDER})).json()["id"]
        told: list[ServerSentEvent] = []
        async for message in source.aiter_sse():
            if message.event != "cursor":
                told.append(message)
            if message.event == "delivery.delivered":
                break
    (await api.delete(f"/v1/subscriptions/{subscription}")).raise_for_status()
    assert [message.event for message in told] == ["event.accepted", "delivery.attempted", "delivery.delivered"]
    accepted, attempted, delivered = [message.json() for message in told]
    assert (accepted["id"], accepted["type"], accepted["subject"]) == (event, "order.created", "orders/1001")
    assert "data" not in accepted
    assert (delivered["event_id"], delivered["subscription_id"]) == (event, subscription)
    assert (delivered["status"], delivered["channel"], delivered["attempt_count"]) == ("delivered", "file", 1)
    assert (attempted["subscription_name"], delivered["subscription_name"]) == ("all", "all")
    assert int(told[0].id) < int(told[1].id) < int(told[2].id)
    assert not any("\n" in message.data for message in told)


async def test_what_is_published_as_soon_as_the_status_is_seen_is_heard(api: httpx.AsyncClient) -> None:
    for _ in range(10):
        async with listening(api) as ear:
            (published,) = await publish(api)
            (heard,) = await ear.hears(1)
            assert json.loads(heard.data)["id"] == published


async def test_the_header_wins_over_the_query(api: httpx.AsyncClient) -> None:
    async with listening(api) as ear:
        await publish(api, count=3)
        first, second, third = await ear.hears(3)
    async with listening(api, header=first.id, last_event_id="earliest") as ear:
        assert [event.id for event in await ear.hears(2)] == [second.id, third.id]
    async with listening(api, last_event_id=second.id) as ear:
        assert [event.id for event in await ear.hears(1)] == [third.id]
    async with listening(api, last_event_id="earliest") as ear:
        assert (await ear.reaches(3))[0].id == "1"


async def test_a_cursor_from_nowhere_is_answered_with_a_gap(api: httpx.AsyncClient) -> None:
    for cursor in ("999999999", "made-up"):
        async with listening(api, last_event_id=cursor) as ear:
            (gap,) = await ear.hears(1)
            assert gap.name == "gap"
            await publish(api)
            await ear.hears(2)
            assert ear.ids[1] > ear.ids[0]


async def test_filters_show_what_they_ask_for(api: httpx.AsyncClient) -> None:
    async with (
        listening(api, types="stock.*,no.such") as by_type,
        listening(api, types="event.accepted") as by_name,
        listening(api, statuses="dead,cancelled") as by_status,
        listening(api, types="delivery.*") as by_prefix,
    ):
        ids = await publish(api, "stock.low", "price.changed")
        await by_name.hears(2)
        (heard,) = await by_type.hears(1)
        assert json.loads(heard.data)["id"] == ids[0]
        async with listening(api, event_id=ids[1], last_event_id="earliest") as by_event:
            assert [json.loads(event.data)["id"] for event in await by_event.hears(1)] == ids[1:]
        assert by_status.events == by_prefix.events == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"types": "a b"}, "/query/types"),
        ({"types": "*.created"}, "/query/types"),
        ({"types": ",".join(f"t{n}" for n in range(51))}, "/query/types"),
        ({"types": "order.*,delivery.failed"}, "/query/types"),
        ({"types": "order.creatd", "last_event_id": "earliest"}, "/query/types"),
        ({"statuses": "dead,deader"}, "/query/statuses"),
        ({"statuses": "held"}, "/query/statuses"),
        ({"event_id": "deader"}, "/query/event_id"),
        ({"subscription_id": "evt_1"}, "/query/subscription_id"),
        ({"type": "stock.*"}, "/query/type"),
        ({"status": "dead", "last_event_id": "1"}, "/query/status"),
    ],
)
async def test_a_malformed_filter_is_a_problem(api: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    answer = await api.get("/v1/stream", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert "deader" not in answer.text
    ticket = (await api.post("/v1/stream-tickets")).json()["ticket"]
    assert (await api.get("/v1/stream", params={**query, "ticket": ticket})).status_code == 422


async def test_a_polyfill_resumes_by_a_parameter_of_its_own(api: httpx.AsyncClient) -> None:
    async with listening(api) as ear:
        await publish(api, count=2)
        first, second = await ear.hears(2)
    async with listening(api, last_event_id="earliest", lastEventId=first.id) as ear:
        assert [event.id for event in await ear.hears(1)] == [second.id]


async def test_a_stream_is_resumed_although_a_name_in_its_filter_is_gone(api: httpx.AsyncClient) -> None:
    (await api.put("/v1/event-types/order.boxed", json={})).raise_for_status()
    async with listening(api, types="order.boxed") as ear:
        await ear.opens()
    (await api.delete("/v1/event-types/order.boxed")).raise_for_status()
    async with listening(api, types="order.boxed", header=ear.parser.cursor) as ear:
        await publish(api, "order.boxed")
        await ear.hears(1)


async def test_a_tenant_hears_only_its_own(hub: ServedHub, api: httpx.AsyncClient) -> None:
    key, _ = await holder(api, "acme", "events:write", "read")
    async with client(hub, key) as acme, listening(acme, last_event_id="earliest") as theirs, listening(api) as ours:
        await publish(api)
        (event,) = await publish(acme)
        (heard,) = await theirs.hears(1)
        assert json.loads(heard.data)["id"] == event
        await ours.hears(1)


async def test_who_may_not_read_is_refused(hub: ServedHub, api: httpx.AsyncClient) -> None:
    writer, _ = await holder(api, "default", "events:write")
    async with client(hub, writer) as stranger:
        assert (await stranger.get("/v1/stream")).status_code == 403
        assert (await stranger.post("/v1/stream-tickets")).status_code == 403
    async with without_a_key(hub) as nobody:
        assert (await nobody.get("/v1/stream")).status_code == 401
        assert (await nobody.get("/v1/stream", params={"ticket": "made-up"})).status_code == 401
        assert (await nobody.post("/v1/stream-tickets")).status_code == 401


@asynccontextmanager
async def without_a_key(hub: ServedHub) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, whose `EventSource` can set no headers but `Last-Event-ID`."""
    async with httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False) as browser:
        yield browser


async def test_a_ticket_opens_its_stream_without_a_key_and_again_at_each_break(
    hub: ServedHub, api: httpx.AsyncClient
) -> None:
    issued = await api.post("/v1/stream-tickets")
    assert (issued.status_code, issued.headers["cache-control"]) == (201, "no-store")
    assert issued.json().keys() == {"ticket", "expires_at"}
    ticket = issued.json()["ticket"]
    published: list[str] = []
    told: list[Heard] = []
    cursor: dict[str, str] = {}
    async with without_a_key(hub) as browser:
        for _ in range(3):
            async with listening(browser, ticket=ticket, types="stock.*", **cursor) as ear:
                published += await publish(api)
                told += await ear.hears(len(published) - len(told))
                cursor = {"header": ear.parser.cursor}
            published += await publish(api)
        other = await browser.get("/v1/stream", params={"ticket": ticket, "types": "order.*"})
        assert (other.status_code, other.json()["title"]) == (403, "Forbidden")
    assert [json.loads(event.data)["id"] for event in told] == published[:-1]


async def test_a_newer_connection_with_a_ticket_ends_the_older(hub: ServedHub, api: httpx.AsyncClient) -> None:
    ticket = (await api.post("/v1/stream-tickets")).json()["ticket"]
    async with without_a_key(hub) as browser, listening(browser, ticket=ticket) as older:
        await older.opens()
        async with listening(browser, ticket=ticket) as newer:
            await older.ends()
            await publish(api)
            await newer.hears(1)


async def test_a_ticket_re_opens_its_stream_after_the_hub_was_killed(
    server: RedisServer | None, tmp_path: Path
) -> None:
    settings = kept_on(server)
    with serving(tmp_path, HUB_LOG_LEVEL="debug", **settings) as hub:
        async with client(hub) as api, without_a_key(hub) as browser:
            ticket = (await api.post("/v1/stream-tickets")).json()["ticket"]
            async with listening(browser, ticket=ticket) as ear:
                await publish(api)
                cursor = (await ear.hears(1))[0].id
            missed = await publish(api)
            refused = await browser.get("/v1/stream", params={"ticket": ticket, "types": "other.*"})
            assert (refused.status_code, ticket in refused.text) == (403, False)
        hub.stop(signal.SIGKILL)
        assert not any(ticket in line for line in hub.lines)
    with serving(tmp_path, **settings) as hub:
        async with without_a_key(hub) as browser, listening(browser, ticket=ticket, header=cursor) as ear:
            assert [json.loads(event.data)["id"] for event in await ear.hears(1)] == missed


async def test_a_revoked_key_ends_its_stream_and_voids_its_tickets(hub: ServedHub, api: httpx.AsyncClient) -> None:
    key, key_id = await holder(api, "default", "read")
    async with client(hub, key) as reader, listening(reader) as ear:
        ticket = (await reader.post("/v1/stream-tickets")).json()["ticket"]
        await ear.opens()
        assert (await api.delete(f"/v1/keys/{key_id}")).is_success
        await ear.ends()
        assert any("the key is no longer valid" in comment for comment in ear.parser.comments)
        assert (await reader.get("/v1/stream", params={"ticket": ticket})).status_code == 401


async def test_nothing_is_lost_or_doubled_over_breaks_while_many_publish(api: httpx.AsyncClient) -> None:
    chance = random.Random(1)
    async with listening(api) as ear:
        await ear.opens()
        begin = ear.parser.cursor

    async def follow() -> list[str]:
        cursor = begin
        told: list[str] = []
        while len(told) < 600:
            async with listening(api, header=cursor, types="burst.*") as ear:
                await ear.reaches(min(chance.randint(1, 60), 600 - len(told)))
            told += [json.loads(event.data)["id"] for event in ear.events]
            cursor = ear.parser.cursor
        return told

    async def publish_some() -> list[str]:
        return [event_id for _ in range(10) for event_id in await publish(api, "burst.one", count=15)]

    *followed, one, two, three, four = await asyncio.gather(
        *[follow() for _ in range(6)], *[publish_some() for _ in range(4)]
    )
    assert all(told == followed[0] for told in followed)
    assert sorted(followed[0]) == sorted([*one, *two, *three, *four])


async def test_a_client_that_does_not_read_is_cut_off_and_resumes_while_others_hear_all(
    hub: ServedHub, api: httpx.AsyncClient
) -> None:
    total = 12_000
    address = httpx.URL(hub.url)
    with closing(HTTPConnection(address.host, address.port)) as stuck:
        stuck.sock = socket.socket()
        stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stuck.sock.settimeout(PATIENCE_SECONDS)
        stuck.sock.connect((address.host, address.port))
        stuck.request("GET", "/v1/stream?types=flood.*", headers={"Authorization": f"Bearer {hub.key}"})
        response = stuck.getresponse()
        async with listening(api, types="flood.*") as ear:
            published = await publish(api, "flood.one", count=total)
            await ear.hears(total)
        parser, heard = Parser(), []
        while chunk := await asyncio.to_thread(response.read1, 1 << 20):
            heard += parser.feed(chunk)
    assert 0 < len(heard) < total
    assert "too slow: reconnect and resume" in parser.comments
    async with listening(api, types="flood.*", header=parser.cursor) as ear:
        heard += await ear.hears(total - len(heard))
    assert [json.loads(event.data)["id"] for event in heard] == published


async def test_stopping_lets_two_hundred_listeners_go_at_once(server: RedisServer | None, tmp_path: Path) -> None:
    # The time of grace is longer than the test waits, so that nothing here ends by it.
    with serving(tmp_path, HUB_SHUTDOWN_GRACE="600", **kept_on(server)) as hub:
        async with client(hub) as api, AsyncExitStack() as stack:
            ears = [await stack.enter_async_context(listening(api)) for _ in range(200)]
            for ear in ears:
                await ear.opens()
            await publish(api)
            for ear in ears:
                await ear.hears(1)
            hub.process.send_signal(signal.SIGTERM)
            for ear in ears:
                await ear.ends()
            assert {ear.parser.cursor for ear in ears} == {"1"}
            assert len({ear.parser.retry for ear in ears}) > 20
            assert await asyncio.to_thread(hub.process.wait, PATIENCE_SECONDS) in {0, -signal.SIGTERM}


async def test_over_the_limit_a_client_is_told_to_come_back_later(server: RedisServer | None, tmp_path: Path) -> None:
    with serving(tmp_path, HUB_STREAM_MAX_LISTENERS="2", **kept_on(server)) as hub:
        async with client(hub) as api, listening(api) as one, listening(api) as two:
            await one.opens()
            await two.opens()
            async with listening(api) as late:
                await late.ends()
            assert late.parser.retry is not None
            assert late.parser.retry >= 10_000
            await publish(api)
            await one.hears(1)
