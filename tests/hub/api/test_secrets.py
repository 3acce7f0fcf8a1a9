"""Operators rotate the key that stored secrets are sealed with, as a task."""

from tests.api_support import Api


async def test_a_rotation_is_a_task_with_a_result(api: Api) -> None:
    await api.subscribe(channel="webhook", target={"url": "https://example.com/hooks"})
    started = await api.admin.post("/v1/secrets/rotate")
    assert started.status_code == 202
    task = started.json()

    async def ended() -> bool:
        task.update((await api.admin.get(f"/v1/tasks/{task['id']}")).json())
        return task["status"] not in {"pending", "running"}

    await api.until(ended)
    assert (task["status"], task["result"]) == ("completed", {"sealed": 1, "unreadable": 0})


async def test_it_is_for_operators(api: Api) -> None:
    manager = await api.holder("manage", "read")
    assert (await manager.post("/v1/secrets/rotate")).status_code == 403
