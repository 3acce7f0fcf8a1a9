"""Tasks are saved whole and listed by tenant, and one that has ended does not change."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hub.errors import BadRequest
from hub.models import FeedEntry, FeedKind, Task, TaskStatus
from hub.stores.base import Page, Store
from hub.testing.clock import START
from hub.testing.stores.samples import OTHER, TENANT, task
from hub.testing.stores.suite import OpenStore, StoreSuite


def changed(one: Task, **changes: Any) -> Task:
    return one.model_copy(update=changes)


def shown(one: Task) -> list[FeedEntry]:
    return [FeedEntry(one.tenant, FeedKind.TASK_UPDATED, one.model_dump_json().encode())]


class TasksConformance(StoreSuite):
    """The port `Tasks`."""

    async def test_a_task_is_read_back_as_it_was_saved_last_even_after_a_restart(self, opened: OpenStore) -> None:
        store = await opened.open()
        saved = task()
        await store.tasks.save(saved)
        assert await store.tasks.task(TENANT, saved.id) == saved
        done = saved.model_copy(
            update={
                "status": TaskStatus.COMPLETED,
                "progress": 100,
                "result": {"rows": 3, "file": "fil_1"},
                "updated_at": START + timedelta(seconds=5),
            }
        )
        await store.tasks.save(done)
        store = await opened.reopen()
        assert await store.tasks.task(TENANT, saved.id) == done
        assert len((await store.tasks.tasks(TENANT, Page())).items) == 1

    async def test_another_tenants_task_does_not_exist(self, store: Store) -> None:
        saved = task()
        await store.tasks.save(saved)
        assert await store.tasks.task(OTHER, saved.id) is None
        assert await store.tasks.task(TENANT, "tsk_unknown") is None
        assert (await store.tasks.tasks(OTHER, Page())).items == ()

    async def test_tasks_are_listed_newest_first_in_pages(self, store: Store) -> None:
        saved = [task(created_at=START + timedelta(seconds=n // 2)) for n in range(5)]
        for one in saved:
            await store.tasks.save(one)
        first = await store.tasks.tasks(TENANT, Page(3))
        await store.tasks.save(task(created_at=START + timedelta(hours=1)))
        second = await store.tasks.tasks(TENANT, Page(3, first.next_cursor))
        assert list(first.items + second.items) == saved[::-1]
        assert second.next_cursor is None
        with pytest.raises(BadRequest):
            await store.tasks.tasks(TENANT, Page(3, "WzEsMl0"))

    async def test_unfinished_tasks_of_every_tenant_come_oldest_first(self, store: Store) -> None:
        saved = [
            task(status=status, tenant=tenant, created_at=START + timedelta(seconds=-n))
            for n, (status, tenant) in enumerate(
                [
                    (TaskStatus.PENDING, TENANT),
                    (TaskStatus.COMPLETED, TENANT),
                    (TaskStatus.RUNNING, OTHER),
                    (TaskStatus.FAILED, TENANT),
                    (TaskStatus.CANCELLED, OTHER),
                ]
            )
        ]
        for one in saved:
            await store.tasks.save(one)
        assert await store.tasks.unfinished(10) == [saved[2], saved[0]]
        assert await store.tasks.unfinished(1) == [saved[2]]

    @pytest.mark.parametrize("end", [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED])
    async def test_a_task_that_has_ended_stays_as_it_is_and_the_feed_tells_nothing_else(
        self, store: Store, end: TaskStatus
    ) -> None:
        saved = task(status=TaskStatus.RUNNING)
        assert await store.tasks.save(saved, shown(saved))
        over = changed(saved, status=end, progress=50)
        assert await store.tasks.save(over, shown(over))
        for late in (changed(saved, progress=70), changed(saved, status=TaskStatus.COMPLETED, progress=100)):
            assert not await store.tasks.save(late, shown(late))
        assert await store.tasks.task(TENANT, saved.id) == over
        assert len(await store.feed.read(0, 10)) == 2
        assert await store.tasks.unfinished(10) == []

    async def test_of_many_ends_at_once_one_counts(self, store: Store) -> None:
        saved = task(status=TaskStatus.RUNNING)
        await store.tasks.save(saved)
        ends = [changed(saved, status=TaskStatus.COMPLETED, progress=number) for number in range(20)]
        written = await asyncio.gather(*(store.tasks.save(end, shown(end)) for end in ends))
        assert written.count(True) == 1
        assert await store.tasks.task(TENANT, saved.id) == ends[written.index(True)]
        assert len(await store.feed.read(0, 100)) == 1

    async def test_states_that_are_saved_at_once_are_all_shown_and_one_is_kept(self, store: Store) -> None:
        saved = task(status=TaskStatus.RUNNING)
        await store.tasks.save(saved)
        states = [changed(saved, progress=number) for number in range(20)]
        assert all(await asyncio.gather(*(store.tasks.save(state, shown(state)) for state in states)))
        assert await store.tasks.task(TENANT, saved.id) in states
        assert len(await store.feed.read(0, 100)) == 20

    async def test_whose_work_a_task_is_survives_a_restart(self, opened: OpenStore) -> None:
        store = await opened.open()
        mine, unowned = task(owner="process-1"), task()
        for one in (mine, unowned):
            assert await store.tasks.save(one)
        store = await opened.reopen()
        assert {one.id: one.owner for one in await store.tasks.unfinished(10)} == {mine.id: "process-1", unowned.id: ""}
        await store.tasks.save(changed(unowned, owner="process-2"))
        found = await store.tasks.task(TENANT, unowned.id)
        assert found is not None
        assert found.owner == "process-2"
