"""Tasks over HTTP: listed, looked at, cancelled, by their tenant alone."""

import asyncio
from collections.abc import Mapping
from typing import Any

from hub.tasks import Progress
from tests.api_support import Api


async def endless(progress: Progress) -> Mapping[str, Any]:
    await asyncio.Event().wait()
    return {}


async def test_a_task_is_shown_in_full(api: Api) -> None:
    task = await api.services.tasks.start("default", "export", endless)
    shown = await api.admin.get(f"/v1/tasks/{task.id}")
    assert shown.status_code == 200
    assert shown.json() | {"status": "?"} == {
        "id": task.id,
        "kind": "export",
        "status": "?",
        "progress": 0,
        "result": None,
        "error": None,
        "created_at": "2026-11-23T12:00:00Z",
        "updated_at": "2026-11-23T12:00:00Z",
    }


async def test_tasks_are_listed_newest_first_page_by_page(api: Api) -> None:
    started = []
    for _ in range(3):
        started.append((await api.services.tasks.start("default", "export", endless)).id)
        api.clock.advance(1)
    first = (await api.admin.get("/v1/tasks", params={"limit": 2})).json()
    assert [task["id"] for task in first["items"]] == [started[2], started[1]]
    rest = (await api.admin.get("/v1/tasks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [task["id"] for task in rest["items"]] == [started[0]]
    assert rest["next_cursor"] is None


async def test_a_task_is_cancelled_once(api: Api) -> None:
    task = await api.services.tasks.start("default", "export", endless)
    cancelled = await api.admin.post(f"/v1/tasks/{task.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    again = await api.admin.post(f"/v1/tasks/{task.id}/cancel")
    assert again.status_code == 409


async def test_what_belongs_to_another_tenant_or_nobody_is_not_found(api: Api) -> None:
    task = await api.services.tasks.start("default", "export", endless)
    async with await api.holder("read", "manage", tenant="other") as other:
        assert (await other.get(f"/v1/tasks/{task.id}")).status_code == 404
        assert (await other.post(f"/v1/tasks/{task.id}/cancel")).status_code == 404
        assert (await other.get("/v1/tasks")).json()["items"] == []
    assert (await api.admin.get("/v1/tasks/tsk_unknown")).status_code == 404


async def test_looking_needs_read_and_cancelling_needs_manage(api: Api) -> None:
    task = await api.services.tasks.start("default", "export", endless)
    async with await api.holder("read") as reader, await api.holder("manage") as manager:
        assert (await reader.get(f"/v1/tasks/{task.id}")).status_code == 200
        assert (await reader.post(f"/v1/tasks/{task.id}/cancel")).status_code == 403
        assert (await manager.get("/v1/tasks")).status_code == 403
        assert (await manager.post(f"/v1/tasks/{task.id}/cancel")).status_code == 200
    assert (await api.client(None).get("/v1/tasks")).status_code == 401
