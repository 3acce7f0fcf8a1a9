"""Schedulers on one store: one leads, and every process can run a schedule on request."""

import asyncio
from pathlib import Path

from hub.cluster.roles import Role
from tests.api_support import settings_for
from tests.faults.patience import until
from tests.hub.runtime.parts import SECRET_KEY, Start, Started, started
from tests.patience import PATIENCE_SECONDS


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
