"""Two versions of the hub run side by side on one Redis: nothing is refused, nothing is lost, and what the newer one
has added to stored things outlives what the older one writes."""

import asyncio
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from hub.catalogue.sealing import Sealer
from hub.clock import SystemClock
from hub.stores import open_store
from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import LEASE_SECONDS
from tests.faults.hub import Hub, hub_on
from tests.faults.listeners import listening
from tests.faults.patience import until
from tests.faults.receiver_process import ReceiverProcess
from tests.faults.redis.newer_version import TOKEN, ZONE, NewerProcess, newer_version
from tests.redis_servers import RedisServer

SECRET_KEY = "the-secret-key-of-both-versions-of-this-hub"
EVENTS = 60


@pytest.fixture
async def hub(server: RedisServer, tmp_path: Path) -> AsyncIterator[Hub]:
    """One process of each role of this version."""
    settings = {"lease": str(LEASE_SECONDS), "secret_key": SECRET_KEY, "stream_max_age": "3600"}
    hub = hub_on(server, tmp_path / "hub", settings)
    yield hub
    await hub.kill()


@pytest.fixture
async def newer(hub: Hub, tmp_path: Path) -> AsyncIterator[list[NewerProcess]]:
    """A web process and a worker of the newer version, not started yet."""
    tree = newer_version(tmp_path)
    processes = [NewerProcess(hub, role, tree) for role in ("web", "worker")]
    yield processes
    await asyncio.gather(*(process.kill() for process in processes))


class Side:
    """What is said to both versions. Every status is kept."""

    def __init__(self, older: httpx.AsyncClient, newer: httpx.AsyncClient, receiver: ReceiverProcess) -> None:
        self.older, self.newer = older, newer
        self.statuses: set[int] = set()
        self.accepted: list[str] = []
        self._receiver = receiver

    async def ask(self, client: httpx.AsyncClient, method: str, path: str, **given: Any) -> Any:
        answer = await client.request(method, path, **given)
        self.statuses.add(answer.status_code)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    async def subscribe(self, client: httpx.AsyncClient, lane: str, channel: str = "webhook") -> str:
        spec = {
            "name": lane,
            "event_types": ["drill.*"],
            "channel": channel,
            "target": {"url": self._receiver.url(lane)},
            "rate_limit": {"per_second": 5_000},
            "retry_schedule": [0.5] * 20,
        }
        return str((await self.ask(client, "POST", "/v1/subscriptions", json=spec))["id"])

    async def known(self, path: str) -> None:
        """Return once this version has heard of what the newer one made."""

        async def is_known() -> bool:
            return (await self.older.get(path)).status_code == 200

        await until(is_known, PATIENCE_SECONDS)

    async def publish(self) -> None:
        """Each event through one version, and once more with the same key through the other one."""
        webs = cycle((self.older, self.newer))
        for number in range(EVENTS):
            event = {"type": "drill.tick", "data": {"n": number}}
            first, second = [
                await self.ask(next(webs), "POST", "/v1/events", json=event, headers={"Idempotency-Key": f"n-{number}"})
                for _ in range(2)
            ]
            assert first["id"] == second["id"]
            self.accepted.append(first["id"])
            # So that the two take turns in being the first.
            if number % 2:
                next(webs)

    async def delivered(self, client: httpx.AsyncClient, subscription_id: str, events: int) -> None:
        """Return once all of the subscription's events are delivered."""

        async def all_there() -> bool:
            query = {"subscription_id": subscription_id, "status": "delivered", "limit": 200}
            found = await self.ask(client, "GET", "/v1/deliveries", params=query)
            return len(found["items"]) == events

        await until(all_there, 60)


async def test_what_a_newer_version_stores_is_served_by_this_one_and_keeps_what_was_added(
    hub: Hub, newer: list[NewerProcess], receiver: ReceiverProcess, server: RedisServer
) -> None:
    await hub.start()
    await asyncio.gather(*(process.start() for process in newer))
    async with (
        hub.client() as older_api,
        newer[0].client() as newer_api,
        listening(hub.web, 1, last_event_id="earliest") as (listener,),
    ):
        side = Side(older_api, newer_api, receiver)
        lanes = {
            "older": await side.subscribe(older_api, "older"),
            "newer": await side.subscribe(newer_api, "newer"),
            "pager": await side.subscribe(newer_api, "pager", "pager"),
        }
        made = await _registered(side)
        await asyncio.gather(side.publish(), _changed_by_the_older(side, lanes, made))
        for subscription_id in lanes.values():
            await side.delivered(older_api, subscription_id, EVENTS)
        await listener.told_of("delivery.noted", 1)
        await _shown_by_both(side, lanes)
    assert {arrival.lane for arrival in receiver.arrivals()} == {*lanes}
    assert max(side.statuses) < 500
    await _kept(hub, lanes, made)
    _kept_on(server)
    for process in (*hub.processes, *newer):
        assert "Traceback" not in process.said(), process.said()


async def test_when_the_newer_version_is_taken_back_what_only_it_knows_waits_for_it(
    hub: Hub, newer: list[NewerProcess], receiver: ReceiverProcess
) -> None:
    await hub.start()
    await asyncio.gather(*(process.start() for process in newer))
    async with hub.client() as older_api, newer[0].client() as newer_api:
        side = Side(older_api, newer_api, receiver)
        known, unknown = await side.subscribe(newer_api, "known"), await side.subscribe(newer_api, "pager", "pager")
        await asyncio.gather(*(process.stop() for process in newer))
        side.newer = older_api
        await side.publish()
        await side.delivered(older_api, known, EVENTS)
        await _held(side, unknown)
        await asyncio.gather(*(process.start() for process in newer))
        await side.delivered(older_api, unknown, EVENTS)
    assert max(side.statuses) < 500


async def _registered(side: Side) -> dict[str, str]:
    """One of each kind of thing, made by the newer version; gives what is needed to change them."""
    ask, newer = side.ask, side.newer
    await ask(newer, "POST", "/v1/tenants", json={"id": "acme", "name": "Acme"})
    key = await ask(newer, "POST", "/v1/keys", json={"name": "k", "scopes": ["read", "keys"]})
    await ask(newer, "PUT", "/v1/event-types/drill.tick", json={"schema": {"type": "object"}})
    source = await ask(newer, "POST", "/v1/sources", json={"name": "s", "scheme": "github", "secret": "a secret"})
    ticket = await ask(newer, "POST", "/v1/stream-tickets")
    await side.known(f"/v1/sources/{source['id']}")
    return {"key": key["key"], "source": source["id"], "ticket": ticket["ticket"]}


async def _changed_by_the_older(side: Side, lanes: dict[str, str], made: dict[str, str]) -> None:
    """Everything that this version can change of what the newer one has stored."""
    ask, older = side.ask, side.older
    for name in ("newer", "pager"):
        await ask(older, "POST", f"/v1/subscriptions/{lanes[name]}/disable")
        await ask(older, "POST", f"/v1/subscriptions/{lanes[name]}/enable")
    await ask(older, "PATCH", f"/v1/subscriptions/{lanes['newer']}", json={"name": "renamed"})
    await ask(older, "POST", f"/v1/subscriptions/{lanes['newer']}/rotate-secret")
    await ask(older, "PUT", "/v1/event-types/drill.tick", json={"description": "A tick."})
    await ask(older, "PATCH", f"/v1/sources/{made['source']}", json={"name": "renamed"})
    refused = await older.patch(f"/v1/subscriptions/{lanes['pager']}", json={"name": "renamed"})
    assert refused.status_code == 409, refused.text
    await ask(older, "GET", "/v1/events", headers={"Authorization": f"Bearer {made['key']}"})
    # The ticket opens its stream on either.
    for client in (older, side.newer, older):
        query = {"ticket": made["ticket"], "types": "drill.*"}
        headers = {"Accept": "text/event-stream"}
        async with client.stream("GET", "/v1/stream", params=query, headers=headers) as stream:
            assert stream.status_code == 200, await stream.aread()
    await ask(side.newer, "POST", "/v1/schedules/retention/run")
    await ask(older, "GET", "/v1/schedules")
    await ask(older, "GET", "/v1/tasks")


async def _shown_by_both(side: Side, lanes: dict[str, str]) -> None:
    """Lists and numbers that hold what the newer version wrote."""
    for client in (side.older, side.newer):
        for path in ("/v1/events", "/v1/deliveries", "/v1/stats", "/v1/subscriptions", "/v1/keys", "/v1/tasks"):
            await side.ask(client, "GET", path)
        explained = await side.ask(client, "GET", f"/v1/events/{side.accepted[-1]}/explain")
        assert {item["subscription_id"] for item in explained["items"]} == {*lanes.values()}
    causes = set()
    for subscription_id in lanes.values():
        query = {"subscription_id": subscription_id, "limit": 1}
        (delivery,) = (await side.ask(side.older, "GET", "/v1/deliveries", params=query))["items"]
        found = await side.ask(side.older, "GET", f"/v1/deliveries/{delivery['id']}")
        causes |= {attempt["cause"] for attempt in found["attempts"]}
    assert "digest" in causes


async def _held(side: Side, subscription_id: str) -> None:
    """This version shows everywhere why the subscription waits."""
    why = "cannot be read by this version of the hub: it has no channel pager"

    async def is_shown() -> bool:
        # What the worker that is gone told counts for some seconds more.
        shown = await side.ask(side.older, "GET", f"/v1/subscriptions/{subscription_id}")
        return (shown["channel"], shown["unavailable"]) == ("pager", why)

    await until(is_shown, PATIENCE_SECONDS)
    explained = await side.ask(side.older, "GET", f"/v1/events/{side.accepted[0]}/explain")
    (found,) = [item for item in explained["items"] if item["subscription_id"] == subscription_id]
    assert (found["outcome"], why in found["reason"]) == ("held", True)
    assert any(why in warning for warning in (await side.ask(side.older, "GET", "/readyz"))["warnings"])
    checks = {item["kind"]: item for item in (await side.ask(side.older, "POST", "/v1/channels/check"))["items"]}
    assert [problem["detail"] for problem in checks["pager"]["problems"]] == [why]


def _kept_on(server: RedisServer) -> None:
    """What the server holds beside the catalogue: what the newer version made has its members, whoever changed it."""
    deliveries = server.ask("KEYS", "*:d:dlv_*")
    made_by_newer = [name for name in deliveries if server.ask("HGET", name, "zone") == ZONE.encode()]
    assert 0 < len(made_by_newer) < len(deliveries) == 3 * EVENTS
    assert {server.ask("HGET", name, "st") for name in deliveries} == {b"delivered"}
    (ticket,) = server.ask("KEYS", "*:ticket:*")
    assert b'"zone":"%b"' % ZONE.encode() in server.ask("GET", ticket)


async def _kept(hub: Hub, lanes: dict[str, str], made: dict[str, str]) -> None:
    """What is in the store has the members that the newer version added, whatever this one wrote since."""
    async with open_store(hub.settings["store_url"], SystemClock()) as store:
        records, _ = await store.records.changes(0)
    kept = {(record.kind, record.id): orjson.loads(record.doc or b"") for record in records}
    for name in ("newer", "pager"):
        subscription = kept["subscription", lanes[name]]
        target = subscription["target"]
        assert (subscription["zone"], subscription["rate_limit"]["burst"], target["plain"]["zone"]) == (ZONE, 3, ZONE)
        place = {"tenant": "default", "owner": lanes[name], "field": '["token"]'}
        assert Sealer(SECRET_KEY).open(target["sealed"]['["token"]'], **place) == TOKEN
    assert kept["subscription", lanes["newer"]]["name"] == "renamed"
    assert (
        kept["event_type", "drill.tick"] | {"zone": ZONE, "description": "A tick."} == kept["event_type", "drill.tick"]
    )
    source = kept["source", made["source"]]["plain"]
    assert (source["name"], source["zone"]) == ("renamed", ZONE)
    assert kept["tenant", "acme"]["zone"] == ZONE
    assert ("quota", "events") in kept
