"""Web, worker and scheduler apart, on one Redis: what one process does, the others take up."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hub.cluster.roles import EVERY_ROLE, Role
from hub.runtime import open_process
from hub.settings import Settings
from hub.stream import Selection
from hub.tasks import UNFINISHED_PER_TENANT
from hub.telemetry.tracing import Tracing
from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.patience import until
from tests.hub.runtime.parts import Start, Started, deliveries, endless, subscribe

MAIL = {"channel": "email", "target": {"to": ["a@example.com"]}}
SET_UP = {"smtp_url": "smtp://127.0.0.1:1", "email_from": "hub@example.com"}


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


async def test_a_ticket_of_one_process_opens_its_stream_at_any_which_ends_its_former_connection(start: Start) -> None:
    one, other = await start(Role.WEB), await start(Role.WEB)
    ticket = (await one.client.post("/v1/stream-tickets")).json()["ticket"]
    first = await other.services.tickets.open(ticket, Selection())
    assert (first.caller.tenant, first.caller.is_operator) == ("default", True)
    stream = other.services.tickets.hold(first, other.services.stream.refuse_unavailable())
    await anext(stream)
    again = await one.services.tickets.open(ticket, Selection())

    async def ended() -> bool:
        return not other.services.tickets.is_current(first)

    await until(ended, PATIENCE_SECONDS)
    assert one.services.tickets.is_current(again)
    await stream.aclose()


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


async def test_many_processes_that_start_at_once_on_an_empty_store_all_come_up(start: Start) -> None:
    roles = [Role.WEB] * 4 + [Role.WORKER] * 3 + [Role.SCHEDULER] * 2
    processes = await asyncio.gather(*(start(role) for role in roles))
    tenants = (await processes[0].client.get("/v1/tenants")).json()["items"]
    assert [tenant["id"] for tenant in tenants] == ["default"]


async def test_every_role_in_one_process_works_on_a_shared_store_too(start: Start) -> None:
    hub = await start(*EVERY_ROLE)
    await subscribe(hub)
    (await hub.client.post("/v1/events", json={"type": "stock.low", "data": 1})).raise_for_status()

    async def delivered() -> bool:
        return await deliveries(hub, "delivered") == 1

    await until(delivered, PATIENCE_SECONDS)


async def test_the_first_start_makes_secrets_that_only_the_owner_may_read(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    for _ in range(2):
        async with open_process(settings, Tracing("")) as process:
            admin = (tmp_path / "var" / "admin.key").read_text().strip()
            assert process.services is not None
            assert process.services.keys.identify(admin).is_operator
    for name in ("admin.key", "secret.key"):
        path = tmp_path / "var" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(path.read_text().strip()) >= 43
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


async def unavailable(web: Started, subscription: dict[str, Any]) -> Any:
    return (await web.client.get(f"/v1/subscriptions/{subscription['id']}")).raise_for_status().json()["unavailable"]


async def warnings(web: Started) -> list[str]:
    found: list[str] = (await web.client.get("/readyz")).json()["warnings"]
    return [warning for warning in found if "held" in warning]


@pytest.mark.parametrize("set_up", [Role.WEB, Role.WORKER])
async def test_the_web_process_shows_what_its_worker_can_send(start: Start, set_up: Role) -> None:
    web = await start(Role.WEB, **(SET_UP if set_up is Role.WEB else {}))
    before = await subscribe(web, **MAIL, enabled=False, event_types=["order.paid"])
    assert (before["unavailable"] is None) == (set_up is Role.WEB)
    await start(Role.WORKER, **(SET_UP if set_up is Role.WORKER else {}))

    async def shown() -> bool:
        return (await unavailable(web, before) is None) == (set_up is Role.WORKER)

    await until(shown, PATIENCE_SECONDS)
    made = await subscribe(web, **{**MAIL, "target": {"to": ["b@example.com"]}})
    (await web.client.post("/v1/events", json={"type": "stock.low", "data": 1})).raise_for_status()
    if set_up is Role.WORKER:
        assert made["unavailable"] is None
        assert await warnings(web) == []
    else:

        async def held() -> bool:
            return await unavailable(web, made) is not None

        await until(held, PATIENCE_SECONDS)
        (warning,) = await warnings(web)
        assert "1 subscription to email are held: mail is not set up" in warning
        (waiting,) = (await web.client.get("/v1/deliveries", params={"status": "held"})).json()["items"]
        assert waiting["reason"].startswith("mail is not set up")
