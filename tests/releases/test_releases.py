"""What earlier releases stored is opened, served and gone on with by this one."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from hub.clock import SystemClock
from hub.cluster.leadership import Leadership
from hub.maintenance.run_history import RunHistory
from hub.stores import open_store
from hub.testing.receivers import Arrival, Receiver
from tests.redis_servers import REDIS_7, VALKEY, RedisServer
from tests.releases.answers import answer, differences, feed, listening
from tests.releases.opening import (
    DATABASE,
    DUMP,
    PREFIX,
    RELEASES,
    Served,
    read_json,
    redis_with,
    run,
    served,
    sqlite_url,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

BINARIES = {"valkey": VALKEY, "redis7": REDIS_7}


@dataclass(frozen=True, slots=True)
class Stored:
    """What a release stored, of which each test is given copies; `expected` is what the release answered over it."""

    folder: Path
    kind: str
    expected: Mapping[str, Any]

    @contextmanager
    def copied(self, directory: Path) -> Iterator[str]:
        """The address of a copy."""
        if self.kind == "sqlite":
            yield sqlite_url(self.folder / DATABASE, directory)
            return
        with redis_with(self.folder / DUMP, BINARIES[self.kind], directory / "server") as server:
            yield server.url(PREFIX)

    @asynccontextmanager
    async def served(self, directory: Path) -> AsyncIterator[Served]:
        """A hub of this checkout over a copy."""
        with self.copied(directory) as url:
            async with served(url, directory, self.expected["written_at"]) as hub:
                yield hub

    def client(self, hub: Served, holder: str = "acme") -> httpx.AsyncClient:
        """A client with a key that the release issued."""
        return hub.client(self.expected["keys"][holder])


def stored_by(folder: Path, kind: str) -> Stored:
    expected = read_json(folder / "expected.json")
    return Stored(folder, kind, expected["sqlite" if kind == "sqlite" else "redis"])


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest) -> Path:
    """The folder of a release."""
    folder: Path = request.param
    return folder


@pytest.fixture(scope="module", params=["sqlite", "valkey", pytest.param("redis7", marks=pytest.mark.redis7)])
def stored(request: pytest.FixtureRequest, release: Path) -> Stored:
    return stored_by(release, request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def untouched(stored: Stored, tmp_path: Path) -> AsyncIterator[Served]:
    """A hub over a copy that no other test has changed."""
    async with stored.served(tmp_path) as hub:
        yield hub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(stored: Stored, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A hub over a copy that several tests change, each something else."""
    async with stored.served(tmp_path_factory.mktemp("release")) as hub:
        yield hub


# -- reading ---------------------------------------------------------------------------------------------------------


async def test_everything_is_answered_as_the_release_answered_it(untouched: Served, stored: Stored) -> None:
    assert await changes(untouched, stored.expected) == []


async def test_a_list_is_read_on_from_a_cursor_that_the_release_gave(hub: Served, stored: Stored) -> None:
    async with stored.client(hub) as acme:
        page = (await acme.get(stored.expected["page"]["path"])).raise_for_status().json()
    assert [item["id"] for item in page["items"]] == stored.expected["page"]["ids"]


async def test_a_listener_goes_on_after_any_id_that_the_release_told(untouched: Served, stored: Stored) -> None:
    told = stored.expected["feed"]
    async with stored.client(untouched) as acme:
        for place in (0, len(told) // 2, len(told) - 2):
            assert differences(told[place + 1 :], await feed(acme, told[place][0])) == []
        async with listening(acme, told[-1][0]) as stream:
            new = (await publish(acme, {"type": "release.next", "data": None}))["id"]
            event = await anext(stream)
    assert (event.event, event.json()["id"]) == ("event.accepted", new)
    assert int(event.id) > int(told[-1][0])


async def test_the_last_run_of_each_schedule_is_known_as_the_release_kept_it(release: Path, tmp_path: Path) -> None:
    """On Redis: SQLite keeps no runs. Below the API, because a hub that serves soon runs some of them again."""
    with redis_with(release / DUMP, VALKEY, tmp_path / "server") as server:
        kept = server.ask("HGETALL", f"{{{PREFIX}}}:schedules")
        names = [
            item["name"]
            for item in stored_by(release, "valkey").expected["answers"]["operator"]["/v1/schedules"]["items"]
        ]
        async with open_store(server.url(PREFIX), SystemClock()) as store:
            history = RunHistory(store.schedules, Leadership(store.leases, "process", SystemClock()), ())
            runs = await history.last_runs()
    assert sorted(runs) == names
    assert {name: asdict(run) for name, run in runs.items()} == {
        name.decode(): {**run, "started_at": datetime.fromisoformat(run["started_at"])}
        for name, run in ((name, orjson.loads(record)["run"]) for name, record in kept.items())
    }


# -- keeping word ----------------------------------------------------------------------------------------------------


async def test_a_request_sent_again_is_answered_byte_for_byte_as_before(hub: Served, stored: Stored) -> None:
    await check_idempotency(hub, stored)


async def test_an_event_that_the_release_knew_is_a_duplicate(hub: Served, stored: Stored) -> None:
    async with stored.client(hub) as acme:
        for known in stored.expected["natural"]:
            again = await publish(acme, known["body"], known["media"])
            assert (again["id"], again["duplicate"]) == (known["id"], True)


async def test_an_event_type_that_was_registered_is_still_checked(hub: Served, stored: Stored) -> None:
    async with stored.client(hub) as acme:
        refused = await acme.post("/v1/events", json={"type": "stock.low", "data": {"sku": "A", "left": -1}})
    assert (refused.status_code, [fault["pointer"] for fault in refused.json()["errors"]]) == (422, ["/data/left"])


async def test_a_key_opens_what_it_opened(hub: Served, stored: Stored) -> None:
    seen = {}
    for holder in ("acme", "reader", "revoked", "expired"):
        async with stored.client(hub, holder) as client:
            paths = ("/v1/events", "/v1/subscriptions", "/v1/keys")
            seen[holder] = [(await client.get(path)).status_code for path in paths]
    assert seen == {
        "acme": [200, 200, 403],
        "reader": [200, 403, 403],
        "revoked": [401, 401, 401],
        "expired": [401, 401, 401],
    }


# -- going on --------------------------------------------------------------------------------------------------------


async def test_what_waits_is_sent_as_it_was_published_and_signed_with_the_old_secrets(
    hub: Served, stored: Stored
) -> None:
    waiting = stored.expected["waiting"]
    async with stored.client(hub) as acme, Receiver() as receiver:
        subscription = f"/v1/subscriptions/{waiting['subscription']}"
        await call(acme, "PATCH", subscription, {"target": {"url": receiver.url}})
        secret = stored.expected["answers"]["acme"][f"{subscription}/secret"]["secret"]
        await call(acme, "POST", f"/v1/deliveries/{waiting['delivery']}/replay")
        (arrival,) = await receiver.arrived()
        sent = await ended(acme, waiting["delivery"])
    assert (sent["status"], [attempt["cause"] for attempt in sent["attempts"]]) == ("delivered", ["replay"])
    assert arrival.headers["webhook-id"] == waiting["event"]
    assert arrival.headers["traceparent"] == waiting["traceparent"]
    assert arrival.json()["data"] == waiting["body"]["data"]
    signatures = [signature(arrival, key) for key in (secret, waiting["previous_secret"])]
    assert arrival.headers["webhook-signature"].split() == signatures


async def test_what_was_under_way_when_the_release_was_killed_is_taken_up(hub: Served, stored: Stored) -> None:
    await check_torn(hub, stored)


# -- moving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite", "valkey"])
async def test_a_copy_into_the_other_kind_of_store_answers_the_same(
    kind: str, release: Path, valkey: RedisServer, tmp_path: Path
) -> None:
    stored = stored_by(release, kind)
    destination = valkey.url() if kind == "sqlite" else f"sqlite:///{tmp_path / 'copy.db'}"
    with stored.copied(tmp_path) as source:
        copied = run(tmp_path, "store", "copy", "--from", source, "--to", destination)
    assert copied.returncode == 0, copied.stderr
    async with served(destination, tmp_path, stored.expected["written_at"]) as hub:
        assert await changes(hub, stored.expected) == []
        await check_idempotency(hub, stored)
        await check_torn(hub, stored)


# -- what several tests ask ------------------------------------------------------------------------------------------


async def changes(hub: Served, expected: Mapping[str, Any]) -> list[str]:
    """What is answered, or told from the beginning, otherwise than by the release."""
    found = []
    clients = {"operator": hub.client(), "acme": hub.client(expected["keys"]["acme"])}
    for holder, api in clients.items():
        async with api:
            for path, before in expected["answers"][holder].items():
                found += differences(before, await answer(api, path), path)
    async with hub.client(expected["keys"]["acme"]) as acme:
        return found + differences(expected["feed"], await feed(acme), "feed")


async def check_idempotency(hub: Served, stored: Stored) -> None:
    async with stored.client(hub) as acme:
        for before in stored.expected["idempotent"]:
            headers = {"Idempotency-Key": before["key"], "Content-Type": "application/json"}
            again = await acme.post("/v1/events", content=before["body"], headers=headers)
            assert (again.status_code, again.text) == (202, before["answer"])
            assert again.headers["Idempotency-Replayed"] == "true"
            assert {name: again.headers[name] for name in before["headers"]} == before["headers"]
            other = await acme.post("/v1/events", json={"type": "another.one", "data": 1}, headers=headers)
            assert other.status_code == 422


async def check_torn(hub: Served, stored: Stored) -> None:
    """An attempt, a fan-out and a task, each cut short by SIGKILL."""
    torn = stored.expected["torn"]
    async with stored.client(hub, "torn") as api, Receiver() as receiver:
        (interrupted,) = (await call(api, "GET", f"/v1/events/{torn['sending']}/deliveries"))["items"]
        assert interrupted["status"] == "held"
        await call(api, "PATCH", f"/v1/subscriptions/{torn['subscription']}", {"target": {"url": receiver.url}})
        await call(api, "POST", f"/v1/subscriptions/{torn['subscription']}/enable")
        (arrival,) = await receiver.arrived()
        sent = await ended(api, interrupted["id"])
        assert [attempt["outcome"] for attempt in sent["attempts"]] == ["unknown", "succeeded"]
        secret = (await call(api, "GET", f"/v1/subscriptions/{torn['subscription']}/secret"))["secret"]
        assert arrival.headers["webhook-signature"] == signature(arrival, secret)

        fanned: list[dict[str, Any]] = []
        while len(fanned) < len(torn["fanned"]):
            fanned = (await call(api, "GET", f"/v1/events/{torn['fan']}/deliveries"))["items"]
        assert sorted(delivery["subscription_id"] for delivery in fanned) == torn["fanned"]
        assert {delivery["id"] for delivery in fanned} >= set(torn["expanded"])
        assert {delivery["status"] for delivery in fanned} == {"pending"}

        # On a store that others may share, an owner counts as dead when it is missed twice.
        for _ in range(2):
            look = await call(api, "POST", "/v1/schedules/abandoned-tasks/run")
            await task_ended(api, look["id"])
        task = await task_ended(api, torn["task"])
        assert (task["status"], "interrupted" in task["error"]) == ("failed", True)


async def publish(api: httpx.AsyncClient, body: Any, media: str = "application/json") -> dict[str, Any]:
    answer = await api.post("/v1/events", json=body, headers={"Content-Type": media})
    accepted: dict[str, Any] = answer.raise_for_status().json()
    return accepted


async def call(api: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """The JSON of an answer that must be a success."""
    return (await api.request(method, path, json=body)).raise_for_status().json()


async def ended(api: httpx.AsyncClient, delivery_id: str) -> Any:
    """A delivery, once it is delivered or dead."""
    while True:
        delivery = await call(api, "GET", f"/v1/deliveries/{delivery_id}")
        if delivery["status"] in ("delivered", "dead"):
            return delivery
        await asyncio.sleep(0.01)


async def task_ended(api: httpx.AsyncClient, task_id: str) -> Any:
    """A task, once it is over."""
    while True:
        task = await call(api, "GET", f"/v1/tasks/{task_id}")
        if task["status"] not in ("pending", "running"):
            return task
        await asyncio.sleep(0.01)


def signature(arrival: Arrival, secret: str) -> str:
    """The signature that a message must have, as the vendor-neutral library makes it."""
    at = datetime.fromtimestamp(int(arrival.headers["webhook-timestamp"])).astimezone()
    return Webhook(secret).sign(arrival.headers["webhook-id"], at, arrival.body.decode())
