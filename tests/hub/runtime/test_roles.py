"""Web, worker and scheduler apart, on one Redis: what one process does, the others take up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.app import create_app
from hub.cluster.roles import EVERY_ROLE, Role
from hub.errors import HubError
from hub.runtime import Process, Services
from hub.settings import Settings
from hub.tasks import UNFINISHED_PER_TENANT, Progress
from hub.testing.patience import PATIENCE_SECONDS
from hub.testing.receivers import Arrival, Receiver
from tests.api_support import ADMIN_KEY, settings_for
from tests.faults.patience import until
from tests.redis_servers import RedisServer

SECRET_KEY = "the-secret-key-of-every-hub-in-these-tests"


@dataclass(frozen=True, slots=True)
class Started:
    """A process with these roles; `client` holds the operator's key."""

    process: Process
    client: httpx.AsyncClient

    @property
    def services(self) -> Services:
        assert self.process.services is not None
        return self.process.services


@asynccontextmanager
async def started(settings: Settings, *roles: Role) -> AsyncIterator[Started]:
    app = create_app(settings, frozenset(roles))
    async with app.router.lifespan_context(app):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
            yield Started(app.state.process, client)


Start = Callable[..., Awaitable[Started]]


@pytest.fixture
def store_url(valkey: RedisServer) -> str:
    return valkey.url()


@pytest.fixture
async def start(store_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts another process of one hub, on a machine of its own."""
    async with AsyncExitStack() as stack:
        count = iter(range(100))

        async def another(*roles: Role, **changed: Any) -> Started:
            given = {"store_url": store_url, "secret_key": SECRET_KEY, **changed}
            settings = settings_for(tmp_path / str(next(count)), **given)
            return await stack.enter_async_context(started(settings, *roles))

        yield another


async def subscribe(web: Started, **members: Any) -> dict[str, Any]:
    spec = {"name": "all", "event_types": ["*"], "channel": "file", "target": {"name": "all"}, **members}
    made = await web.client.post("/v1/subscriptions", json=spec)
    assert made.status_code == 201, made.text
    subscription: dict[str, Any] = made.json()
    return subscription


async def deliveries(web: Started, status: str) -> int:
    return len((await web.client.get("/v1/deliveries", params={"status": status})).json()["items"])


async def endless(progress: Progress) -> Mapping[str, Any]:
    return dict(await asyncio.get_running_loop().create_future())


async def test_what_one_web_process_takes_a_worker_elsewhere_delivers(start: Start) -> None:
    one, other = await start(Role.WEB), await start(Role.WEB)
    worker = await start(Role.WORKER)
    assert worker.process.services is None
    assert one.process.worker is None
    await subscribe(one)
    accepted = await other.client.post("/v1/events", json={"type": "stock.low", "data": 1})
    assert accepted.status_code == 202

    async def delivered() -> bool:
        return await deliveries(one, "delivered") == 1

    await until(delivered, PATIENCE_SECONDS)


async def test_an_event_accepted_after_a_subscription_was_made_reaches_it_whichever_process_made_it(
    start: Start,
) -> None:
    one, other = await start(Role.WEB), await start(Role.WEB)
    for number in range(10):
        await subscribe(one)
        event = (await other.client.post("/v1/events", json={"type": "stock.low", "data": 1})).json()["id"]
        found = await one.client.get("/v1/deliveries", params={"event_id": event})
        assert len(found.json()["items"]) == number + 1


async def test_a_key_works_in_every_process_within_a_second_and_no_longer_when_it_is_revoked(start: Start) -> None:
    one, other = await start(Role.WEB), await start(Role.WEB)
    key = (await one.client.post("/v1/keys", json={"name": "k", "scopes": ["read"]})).json()
    theirs = {"Authorization": f"Bearer {key['key']}"}

    async def answered(status: int) -> bool:
        return (await other.client.get("/v1/events", headers=theirs)).status_code == status

    await until(lambda: answered(200), PATIENCE_SECONDS)
    assert (await one.client.delete(f"/v1/keys/{key['id']}")).status_code == 204
    await until(lambda: answered(401), PATIENCE_SECONDS)


async def test_one_idempotency_key_in_two_processes_at_once_makes_one_event(start: Start) -> None:
    webs = [await start(Role.WEB), await start(Role.WEB)]
    event = {"type": "stock.low", "data": 1}
    answers = await asyncio.gather(
        *(webs[n % 2].client.post("/v1/events", json=event, headers={"Idempotency-Key": "k"}) for n in range(20))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await webs[0].client.get("/v1/events")).json()["items"]) == 1


async def test_a_ticket_of_one_process_opens_the_stream_of_another_once(start: Start) -> None:
    one, other = await start(Role.WEB), await start(Role.WEB)
    ticket = (await one.client.post("/v1/stream-tickets")).json()["ticket"]
    principal = await other.services.tickets.redeem(ticket)
    assert (principal.tenant, principal.is_operator) == ("default", True)
    refused = await one.client.get("/v1/stream", params={"ticket": ticket})
    assert refused.status_code == 401


async def test_a_task_is_cancelled_from_another_process_and_ends_where_it_runs(start: Start) -> None:
    one, other = await start(Role.WEB), await start(Role.WEB)
    task = await one.services.tasks.start("default", "export", endless)
    cancelled = await other.client.post(f"/v1/tasks/{task.id}/cancel")
    assert cancelled.json()["status"] == "cancelled"

    async def ended() -> bool:
        return not one.services.tasks._runs

    await until(ended, PATIENCE_SECONDS)
    assert (await one.client.get(f"/v1/tasks/{task.id}")).json()["status"] == "cancelled"


async def test_unfinished_tasks_are_counted_over_all_processes(start: Start) -> None:
    webs = [await start(Role.WEB), await start(Role.WEB)]
    for number in range(UNFINISHED_PER_TENANT):
        await webs[number % 2].services.tasks.start("default", "export", endless)
    for web in webs:
        assert (await web.client.post("/v1/schedules/retention/run")).status_code == 429


async def test_schedules_are_shown_and_run_in_a_process_that_fires_none(start: Start) -> None:
    web, scheduler = await start(Role.WEB), await start(Role.SCHEDULER)
    listed = (await web.client.get("/v1/schedules")).json()["items"]
    names = [schedule["name"] for schedule in listed]
    assert scheduler.process.services is None
    for name in names:
        accepted = await web.client.post(f"/v1/schedules/{name}/run")

        async def ended(place: str = accepted.headers["Location"]) -> bool:
            return bool((await web.client.get(place)).json()["status"] == "completed")

        await until(ended, PATIENCE_SECONDS)
    listed = (await web.client.get("/v1/schedules")).json()["items"]
    assert {schedule["last_outcome"] for schedule in listed} == {"succeeded"}
    assert all(schedule["next_run_at"] for schedule in listed)


async def test_of_two_schedulers_one_leads_and_the_other_goes_on_when_it_ends(
    start: Start, store_url: str, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path / "first", store_url=store_url, secret_key=SECRET_KEY)

    async def leads(scheduler: Started) -> bool:
        return b"hub_leads 1.0" in scheduler.process.core.metrics.render()[0]

    async with started(settings, Role.SCHEDULER) as first:
        await until(lambda: leads(first), PATIENCE_SECONDS)
        second = await start(Role.SCHEDULER)
        await asyncio.sleep(1.2)
        assert not await leads(second)
    await until(lambda: leads(second), PATIENCE_SECONDS)


async def test_a_web_process_says_when_nobody_else_is_there_and_is_ready_all_the_same(start: Start) -> None:
    web = await start(Role.WEB)
    alone = await web.client.get("/readyz")
    assert alone.status_code == 200
    assert [warning.split(".")[0].split(":")[0] for warning in alone.json()["warnings"]] == [
        "No worker is alive",
        "No scheduler leads",
    ]
    worker = await start(Role.WORKER, Role.SCHEDULER)

    async def complete() -> bool:
        return bool((await web.client.get("/readyz")).json() == {"status": "ready"})

    await until(complete, PATIENCE_SECONDS)
    assert (await worker.client.get("/readyz")).json() == {"status": "ready"}
    assert (await worker.client.get("/v1/events")).status_code == 404


async def test_a_process_that_stops_is_not_ready(start: Start) -> None:
    worker = await start(Role.WORKER)
    worker.process.begin_stop()
    assert (await worker.client.get("/readyz")).json()["reasons"] == ["The hub is stopping."]


async def test_another_secret_key_is_refused_although_nothing_is_sealed_yet(start: Start) -> None:
    await start(Role.WEB)
    with pytest.raises(HubError, match="HUB_SECRET_KEY"):
        await start(Role.WORKER, secret_key="another-key-of-more-than-32-characters")


async def test_machines_that_would_each_make_an_admin_key_are_told_to_share_one(start: Start) -> None:
    await start(Role.WEB, admin_key=None)
    with pytest.raises(HubError, match="HUB_ADMIN_KEY"):
        await start(Role.WEB, admin_key=None)
    await start(Role.WORKER, admin_key=None)
    await start(Role.WEB, admin_key="a-key-that-the-operator-has-set-anew")


async def test_many_processes_that_start_at_once_on_an_empty_store_all_come_up(start: Start) -> None:
    roles = [Role.WEB] * 4 + [Role.WORKER] * 3 + [Role.SCHEDULER] * 2
    processes = await asyncio.gather(*(start(role) for role in roles))
    tenants = (await processes[0].client.get("/v1/tenants")).json()["items"]
    assert [tenant["id"] for tenant in tenants] == ["default"]


@pytest.mark.parametrize("role", Role)
async def test_a_store_for_one_process_is_for_every_role_at_once(role: Role, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="hub serve"):
        async with started(settings_for(tmp_path), role):
            pass


async def test_every_role_in_one_process_works_on_a_shared_store_too(start: Start) -> None:
    hub = await start(*EVERY_ROLE)
    await subscribe(hub)
    (await hub.client.post("/v1/events", json={"type": "stock.low", "data": 1})).raise_for_status()

    async def delivered() -> bool:
        return await deliveries(hub, "delivered") == 1

    await until(delivered, PATIENCE_SECONDS)


async def test_very_many_deliveries_are_made_by_workers_who_share_the_work(start: Start) -> None:
    web = await start(Role.WEB, fanout_inline_max=1)
    for _ in range(3):
        await subscribe(web)
    await start(Role.WORKER)
    await start(Role.WORKER)
    for _ in range(5):
        (await web.client.post("/v1/events", json={"type": "stock.low", "data": 1})).raise_for_status()

    async def delivered() -> bool:
        return await deliveries(web, "delivered") == 15

    await until(delivered, PATIENCE_SECONDS)


async def test_a_worker_that_starts_beside_another_leaves_it_what_it_has_begun(start: Start) -> None:
    web = await start(Role.WEB)
    await start(Role.WORKER)
    both_work = asyncio.Event()

    async def answer(arrival: Arrival) -> int:
        await both_work.wait()
        return 200

    async with Receiver(answer) as receiver:
        await subscribe(web, channel="webhook", target={"url": receiver.url})
        (await web.client.post("/v1/events", json={"type": "stock.low", "data": 1})).raise_for_status()
        await receiver.arrived(1)
        await start(Role.WORKER)
        both_work.set()

        async def delivered() -> bool:
            return await deliveries(web, "delivered") == 1

        await until(delivered, PATIENCE_SECONDS)
        assert len(receiver.requests) == 1


async def test_a_worker_that_is_told_to_stop_ends_what_it_has_begun_and_leaves_the_rest_to_others(
    start: Start, store_url: str, tmp_path: Path
) -> None:
    web = await start(Role.WEB)
    settings = settings_for(tmp_path / "first", store_url=store_url, secret_key=SECRET_KEY)
    told = asyncio.Event()

    async def answer(arrival: Arrival) -> int:
        await told.wait()
        return 200

    async with Receiver(answer) as receiver:
        await subscribe(web, channel="webhook", target={"url": receiver.url}, max_in_flight=2)
        async with started(settings, Role.WORKER) as first:
            for number in range(6):
                (await web.client.post("/v1/events", json={"type": "stock.low", "data": number})).raise_for_status()
            await receiver.arrived(2)
            first.process.begin_stop()
            told.set()
        assert len(receiver.requests) == 2
        assert await deliveries(web, "delivered") == 2
        await start(Role.WORKER)

        async def delivered() -> bool:
            return await deliveries(web, "delivered") == 6

        await until(delivered, PATIENCE_SECONDS)
        assert len(receiver.requests) == 6
