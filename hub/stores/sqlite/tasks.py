"""Tasks in the SQLite store."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import apsw
import orjson

from hub.models import FeedEntry, Task, TaskStatus
from hub.stores.base import Listing, Page, Tasks
from hub.stores.milliseconds import milliseconds
from hub.stores.paging import cursor_of
from hub.stores.sqlite.conditions import Condition
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.rows import Row, fetch
from hub.stores.unreadable import READ_ERRORS, Unreadable

TASK_COLUMNS = "id, tenant, doc, status, owner, created_at, updated_at"
_TASKS = """
    SELECT json_array(id, tenant, owner, doc, created_at) AS row FROM tasks WHERE {where}
    ORDER BY created_at DESC, id DESC LIMIT {limit}
"""
_UNFINISHED = """
    SELECT json_array(id, tenant, owner, doc, created_at) AS row FROM tasks WHERE status IN ('pending', 'running')
    ORDER BY created_at, id
"""
_ENDED = """
    SELECT json_quote(tasks.id) AS row FROM json_each(?) AS saved CROSS JOIN tasks ON tasks.id = saved.value
    WHERE status NOT IN ('pending', 'running')
"""

Saved = tuple[Task, Sequence[FeedEntry]]


def _save(transaction: Transaction, saved: Sequence[Saved]) -> list[bool]:
    ids = orjson.dumps([task.id for task, _ in saved]).decode()
    # Saves of one task may meet in a group: after the first one that ends it, the others write nothing.
    ended: set[str] = set(transaction.fetch(_ENDED, (ids,)))
    kept: dict[str, Task] = {}
    outcomes = []
    for task, feed in saved:
        outcomes.append(task.id not in ended)
        if task.id in ended:
            continue
        kept[task.id] = task
        transaction.append(feed)
        if task.status not in {TaskStatus.PENDING, TaskStatus.RUNNING}:
            ended.add(task.id)
    transaction.insert("tasks", TASK_COLUMNS, list(map(task_row, kept.values())), replace=True)
    return outcomes


def task_row(task: Task) -> tuple[str | int, ...]:
    """The task as `TASK_COLUMNS`."""
    doc = orjson.dumps(task.document()).decode()
    created_at, updated_at = milliseconds(task.created_at), milliseconds(task.updated_at)
    return (task.id, task.tenant, doc, task.status, task.owner, created_at, updated_at)


def _readable(rows: Iterable[Row], unreadable: Unreadable) -> Iterator[Task]:
    for id_, tenant, owner, doc, _ in rows:
        try:
            yield Task.read(doc.encode(), tenant=tenant, owner=owner)
        except READ_ERRORS as error:
            unreadable.note("task", id_, error)


def _tasks(connection: apsw.Connection, where: Condition, limit: int, unreadable: Unreadable) -> Listing[Task]:
    rows = fetch(connection, _TASKS.format(where=where, limit=limit + 1), where.values)
    kept = rows[:limit]
    # The cursor is that of the row: a task that cannot be read ends no list.
    following = cursor_of(kept[-1][4], kept[-1][0]) if len(rows) > len(kept) > 0 else None
    return Listing(tuple(_readable(kept, unreadable)), following)


def _unfinished(connection: apsw.Connection, limit: int, unreadable: Unreadable) -> list[Task]:
    return list(islice(_readable(fetch(connection, _UNFINISHED), unreadable), limit))


class SqliteTasks(Tasks):
    def __init__(self, writer: Writer, readers: Readers, unreadable: Unreadable) -> None:
        self._writer = writer
        self._readers = readers
        self._unreadable = unreadable

    async def save(self, task: Task, feed: Sequence[FeedEntry] = ()) -> bool:
        saved: Saved = (task, feed)
        return await self._writer.submit(_save, saved, rows=1 + len(feed))

    async def task(self, tenant: str, task_id: str) -> Task | None:
        where = Condition(tenant)
        where.equal("id", task_id)
        found = await self._readers.run(_tasks, where, 1, self._unreadable)
        return found.items[0] if found.items else None

    async def tasks(self, tenant: str, page: Page) -> Listing[Task]:
        where = Condition(tenant).after(page, "created_at", "id", str)
        return await self._readers.run(_tasks, where, page.limit, self._unreadable)

    async def unfinished(self, limit: int) -> Sequence[Task]:
        return await self._readers.run(_unfinished, limit, self._unreadable)
