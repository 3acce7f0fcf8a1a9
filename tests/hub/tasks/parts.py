"""Work for tasks, and how tests wait for the end of one."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from hub.models import FeedKind, Task, TaskStatus
from hub.stores.base import Store
from hub.tasks import Progress
from hub.testing.patience import patience


class Work:
    """Work that says when it runs, and ends when it is let."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.finish = asyncio.Event()

    async def __call__(self, progress: Progress) -> Mapping[str, Any]:
        self.started.set()
        await self.finish.wait()
        return {"rows": 3}


async def ended(store: Store, task: Task) -> Task:
    """The task as it ended, once it has."""
    async with patience():
        while True:
            _, newest = await store.feed.bounds()
            found = await store.tasks.task(task.tenant, task.id)
            assert found is not None
            if found.status not in {TaskStatus.PENDING, TaskStatus.RUNNING}:
                return found
            await store.feed.wait(newest)


async def shown(store: Store) -> list[dict[str, Any]]:
    """What listeners were shown of tasks."""
    rows = await store.feed.read(0, 1_000)
    assert all(row.entry.kind is FeedKind.TASK_UPDATED for row in rows)
    return [json.loads(row.entry.data) for row in rows]
