"""Saving the states of a task, each together with its entry in the feed."""

from datetime import datetime
from typing import Any

from hub.models import FeedEntry, FeedKind, Task, TaskStatus
from hub.stores.base import Tasks

UNFINISHED = frozenset({TaskStatus.PENDING, TaskStatus.RUNNING})


async def save(tasks: Tasks, task: Task, now: datetime, **changes: Any) -> Task | None:
    """Save a task with these changes and give it; None, saving nothing, when the kept task has ended already."""
    changed = task.model_copy(update={**changes, "updated_at": now})
    entry = FeedEntry(changed.tenant, FeedKind.TASK_UPDATED, changed.model_dump_json().encode())
    return changed if await tasks.save(changed, [entry]) else None
