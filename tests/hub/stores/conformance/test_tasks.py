"""Tasks: saved whole, listed by tenant."""

from datetime import timedelta

import pytest

from hub.errors import BadRequest
from hub.models import TaskStatus
from hub.stores.base import Page, Store
from tests.clock import START
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import OTHER, TENANT, task


async def test_a_task_is_read_back_as_it_was_saved_last_even_after_a_restart(opened: OpenStore) -> None:
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


async def test_another_tenants_task_does_not_exist(store: Store) -> None:
    saved = task()
    await store.tasks.save(saved)
    assert await store.tasks.task(OTHER, saved.id) is None
    assert await store.tasks.task(TENANT, "tsk_unknown") is None
    assert (await store.tasks.tasks(OTHER, Page())).items == ()


async def test_tasks_are_listed_newest_first_in_pages(store: Store) -> None:
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


async def test_unfinished_tasks_of_every_tenant_come_oldest_first(store: Store) -> None:
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
