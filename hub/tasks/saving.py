"""Keeping a task's states, each shown to listeners as it is kept."""

from datetime import datetime
from typing import Any

from hub.models import FeedEntry, FeedKind, Task, TaskStatus
from hub.stores.base import Tasks

UNFINISHED = frozenset({TaskStatus.PENDING, TaskStatus.RUNNING})


async def save(tasks: Tasks, task: Task, now: datetime, **changes: Any) -> Task | None:
    """The task with its changes, once it is kept; None when it had ended, which stays as it was."""
    changed = task.model_copy(update={**changes, "updated_at": now})
    entry = FeedEntry(changed.tenant, FeedKind.TASK_UPDATED, changed.model_dump_json().encode())
    return changed if await tasks.save(changed, [entry]) else None
