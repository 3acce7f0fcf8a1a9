"""The contract of long work."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hub.models import FeedEntry, Task
from hub.stores.base.page import Listing, Page


class Tasks(ABC):
    """The tasks of every tenant. One that has ended (completed, failed or cancelled) stays as it is."""

    @abstractmethod
    async def save(self, task: Task, feed: Sequence[FeedEntry] = ()) -> bool:
        """Insert or replace by id; False, writing nothing, when the one that is kept has ended already."""

    @abstractmethod
    async def task(self, tenant: str, task_id: str) -> Task | None: ...

    @abstractmethod
    async def tasks(self, tenant: str, page: Page) -> Listing[Task]: ...

    @abstractmethod
    async def unfinished(self, limit: int) -> Sequence[Task]:
        """Every tenant's tasks that are pending or running, oldest first."""
