"""Tasks in the SQLite store."""

from collections.abc import Sequence

import apsw
import orjson

from hub.models import FeedEntry, Task
from hub.stores.base import Listing, Page, Tasks
from hub.stores.sqlite.filters import Condition
from hub.stores.sqlite.paging import cursor_of, listing
from hub.stores.sqlite.readers import Readers
from hub.stores.sqlite.rows import fetch, milliseconds
from hub.stores.sqlite.transaction import Transaction
from hub.stores.sqlite.writer import Writer

_COLUMNS = "id, tenant, doc, status, created_at, updated_at"
_TASKS = (
    "SELECT json_array(tenant, doc) AS row FROM tasks WHERE {where} ORDER BY created_at DESC, id DESC LIMIT {limit}"
)
_UNFINISHED = """
    SELECT json_array(tenant, doc) AS row FROM tasks WHERE status IN ('pending', 'running')
    ORDER BY created_at, id LIMIT ?
"""

Saved = tuple[Task, Sequence[FeedEntry]]


def _save(transaction: Transaction, saved: Sequence[Saved]) -> list[None]:
    transaction.insert("tasks", _COLUMNS, [_row(task) for task, _ in saved], replace=True)
    transaction.append(entry for _, feed in saved for entry in feed)
    return [None] * len(saved)


def _row(task: Task) -> tuple[str | int, ...]:
    doc = orjson.dumps(task.model_dump(mode="json")).decode()
    return (task.id, task.tenant, doc, task.status, milliseconds(task.created_at), milliseconds(task.updated_at))


def _task_from(tenant: str, doc: str) -> Task:
    return Task.model_validate({**orjson.loads(doc), "tenant": tenant})


def _tasks(connection: apsw.Connection, where: Condition, limit: int) -> list[Task]:
    return [_task_from(*row) for row in fetch(connection, _TASKS.format(where=where, limit=limit), where.values)]


def _unfinished(connection: apsw.Connection, limit: int) -> list[Task]:
    return [_task_from(*row) for row in fetch(connection, _UNFINISHED, (limit,))]


class SqliteTasks(Tasks):
    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def save(self, task: Task, feed: Sequence[FeedEntry] = ()) -> None:
        saved: Saved = (task, feed)
        await self._writer.submit(_save, saved, rows=1 + len(feed))

    async def task(self, tenant: str, task_id: str) -> Task | None:
        where = Condition(tenant)
        where.equal("id", task_id)
        found = await self._readers.run(_tasks, where, 1)
        return found[0] if found else None

    async def tasks(self, tenant: str, page: Page) -> Listing[Task]:
        where = Condition(tenant).after(page, "created_at", "id", str)
        found = await self._readers.run(_tasks, where, page.limit + 1)
        return listing(found, page, lambda task: cursor_of(milliseconds(task.created_at), task.id))

    async def unfinished(self, limit: int) -> Sequence[Task]:
        return await self._readers.run(_unfinished, limit)
