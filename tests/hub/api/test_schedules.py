"""Schedules over HTTP: everyone may look, the operator runs them."""

import pytest

from tests.api_support import Api

NAMES = ["abandoned-tasks", "clock-watch", "expired-records", "feed-trim", "lease-sweep", "retention", "temp-files"]


async def test_every_schedule_is_listed_with_its_next_run(api: Api) -> None:
    listed = (await api.admin.get("/v1/schedules")).json()
    assert [schedule["name"] for schedule in listed["items"]] == NAMES
    assert listed["next_cursor"] is None
    retention = listed["items"][5]
    assert retention["trigger"] == "every 1 h"
    assert retention["next_run_at"].endswith("Z")
    assert retention | {"next_run_at": "?"} == {
        "name": "retention",
        "trigger": "every 1 h",
        "next_run_at": "?",
        "last_run_at": None,
        "last_outcome": None,
        "last_error": None,
        "last_duration_seconds": None,
    }


async def finished(api: Api, location: str) -> dict[str, object]:
    """The task, once it has ended."""
    task: dict[str, object] = {}

    async def ended() -> bool:
        task.update((await api.admin.get(location)).json())
        return task["status"] not in {"pending", "running"}

    await api.until(ended)
    return task


@pytest.mark.parametrize("name", NAMES)
async def test_each_schedule_runs_on_request_as_a_task(api: Api, name: str) -> None:
    accepted = await api.admin.post(f"/v1/schedules/{name}/run")
    assert accepted.status_code == 202
    assert accepted.json()["kind"] == f"schedule:{name}"
    assert accepted.headers["Location"] == f"/v1/tasks/{accepted.json()['id']}"
    task = await finished(api, accepted.headers["Location"])
    assert (task["status"], task["progress"], task["error"]) == ("completed", 100, None)
    assert task["result"]
    listed = (await api.admin.get("/v1/schedules")).json()["items"]
    ran = next(schedule for schedule in listed if schedule["name"] == name)
    assert (ran["last_outcome"], ran["last_run_at"]) == ("succeeded", "2026-11-23T12:00:00Z")


async def test_an_unknown_schedule_is_not_found(api: Api) -> None:
    assert (await api.admin.post("/v1/schedules/nothing/run")).status_code == 404


async def test_looking_needs_read_and_running_needs_admin(api: Api) -> None:
    async with await api.holder("read", "manage", "events:write") as tenant:
        assert (await tenant.get("/v1/schedules")).status_code == 200
        assert (await tenant.post("/v1/schedules/retention/run")).status_code == 403
    async with await api.holder("manage") as manager:
        assert (await manager.get("/v1/schedules")).status_code == 403
    assert (await api.client(None).get("/v1/schedules")).status_code == 401
