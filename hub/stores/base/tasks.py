"""The contract of tasks: long work that a person asked for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hub.models import FeedEntry, Task
from hub.stores.base.page import Listing, Page


class Tasks(ABC):
    """The tasks of every tenant. A task that has ended (completed, failed or cancelled) never changes again."""

    @abstractmethod
    async def save(self, task: Task, feed: Sequence[FeedEntry] = ()) -> bool:
        """Insert the task or replace the one with its id; False, with nothing written, when that one has ended."""

    @abstractmethod
    async def task(self, tenant: str, task_id: str) -> Task | None: ...

    @abstractmethod
    async def tasks(self, tenant: str, page: Page) -> Listing[Task]: ...

    @abstractmethod
    async def unfinished(self, limit: int) -> Sequence[Task]:
        """Every tenant's tasks that are pending or running, oldest first."""
