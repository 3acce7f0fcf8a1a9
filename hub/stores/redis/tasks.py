"""Tasks in Redis."""

from collections.abc import Sequence
from secrets import token_hex
from typing import Final

import orjson

from hub.models import FeedEntry, Task
from hub.stores.base import Listing, Page, Tasks
from hub.stores.milliseconds import milliseconds
from hub.stores.paging import cursor_of
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.codec import packed_entry
from hub.stores.redis.keyspace.index_scan import at_of, id_of, until_page
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.unreadable import READ_ERRORS

_SAVE: Final = script("save_task")


class RedisTasks(Tasks):
    def __init__(self, engine: Engine, losses: LossDetection) -> None:
        self._engine = engine
        self._losses = losses
        self._keys = KeyNames(engine.prefix)

    async def save(self, task: Task, feed: Sequence[FeedEntry] = ()) -> bool:
        *seen, written = await self._engine.run(
            _SAVE,
            # Names this call, so that it writes once when it is made again.
            token_hex(8),
            *self._losses.arguments(),
            task.id,
            task.tenant,
            task.status,
            milliseconds(task.created_at),
            milliseconds(task.updated_at),
            orjson.dumps({**task.document(), "tenant": task.tenant, "owner": task.owner}),
            *(packed_entry(entry) for entry in feed),
            repeat=True,
        )
        self._losses.note(*seen)
        return bool(written)

    async def task(self, tenant: str, task_id: str) -> Task | None:
        found = await self._tasks([task_id])
        return found[0] if found and found[0].tenant == tenant else None

    async def tasks(self, tenant: str, page: Page) -> Listing[Task]:
        bounds = (until_page(page), "-", "LIMIT", 0, page.limit + 1)
        members = await self._engine.ask("ZREVRANGEBYLEX", self._keys.tasks(tenant), *bounds)
        kept = members[: page.limit]
        # The cursor is that of the index: a task that cannot be read ends no list.
        following = cursor_of(at_of(kept[-1]), id_of(kept[-1])) if len(members) > len(kept) > 0 else None
        return Listing(tuple(await self._tasks([id_of(member) for member in kept])), following)

    async def unfinished(self, limit: int) -> Sequence[Task]:
        found: list[Task] = []
        after = "-"
        while len(found) < limit:
            bounds = (after, "+", "LIMIT", 0, limit)
            members = await self._engine.ask("ZRANGEBYLEX", self._keys.unfinished, *bounds)
            found += await self._tasks([id_of(member) for member in members])
            if len(members) < limit:
                break
            after = f"({members[-1].decode()}"
        return found[:limit]

    async def _tasks(self, ids: Sequence[str]) -> list[Task]:
        """Those of these tasks that exist and can be read."""
        documents = await self._engine.ask_all([("HGET", self._keys.task(id_), "doc") for id_ in ids])
        found = []
        for id_, document in zip(ids, documents, strict=True):
            if document is not None:
                try:
                    found.append(Task.read(document))
                except READ_ERRORS as error:
                    self._engine.unreadable.note("task", id_, error)
        return found
