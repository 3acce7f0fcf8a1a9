"""Tasks that have ended stay as they are, and whose they are is kept."""

import asyncio
from typing import Any

import pytest

from hub.models import FeedEntry, FeedKind, Task, TaskStatus
from hub.stores.base import Store
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import TENANT, task


def changed(one: Task, **changes: Any) -> Task:
    return one.model_copy(update=changes)


def shown(one: Task) -> list[FeedEntry]:
    return [FeedEntry(one.tenant, FeedKind.TASK_UPDATED, one.model_dump_json().encode())]


@pytest.mark.parametrize("end", [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED])
async def test_a_task_that_has_ended_stays_as_it_is_and_nobody_hears_otherwise(store: Store, end: TaskStatus) -> None:
    saved = task(status=TaskStatus.RUNNING)
    assert await store.tasks.save(saved, shown(saved))
    over = changed(saved, status=end, progress=50)
    assert await store.tasks.save(over, shown(over))
    for late in (changed(saved, progress=70), changed(saved, status=TaskStatus.COMPLETED, progress=100)):
        assert not await store.tasks.save(late, shown(late))
    assert await store.tasks.task(TENANT, saved.id) == over
    assert len(await store.feed.read(0, 10)) == 2
    assert await store.tasks.unfinished(10) == []


async def test_of_many_ends_at_once_one_counts(store: Store) -> None:
    saved = task(status=TaskStatus.RUNNING)
    await store.tasks.save(saved)
    ends = [changed(saved, status=TaskStatus.COMPLETED, progress=number) for number in range(20)]
    written = await asyncio.gather(*(store.tasks.save(end, shown(end)) for end in ends))
    assert written.count(True) == 1
    assert await store.tasks.task(TENANT, saved.id) == ends[written.index(True)]
    assert len(await store.feed.read(0, 100)) == 1


async def test_states_that_are_saved_at_once_are_all_shown_and_one_is_kept(store: Store) -> None:
    saved = task(status=TaskStatus.RUNNING)
    await store.tasks.save(saved)
    states = [changed(saved, progress=number) for number in range(20)]
    assert all(await asyncio.gather(*(store.tasks.save(state, shown(state)) for state in states)))
    assert await store.tasks.task(TENANT, saved.id) in states
    assert len(await store.feed.read(0, 100)) == 20


async def test_whose_work_a_task_is_survives_a_restart(opened: OpenStore) -> None:
    store = await opened.open()
    mine, nobodys = task(owner="process-1"), task()
    for one in (mine, nobodys):
        assert await store.tasks.save(one)
    store = await opened.reopen()
    assert {one.id: one.owner for one in await store.tasks.unfinished(10)} == {mine.id: "process-1", nobodys.id: ""}
    await store.tasks.save(changed(nobodys, owner="process-2"))
    found = await store.tasks.task(TENANT, nobodys.id)
    assert found is not None
    assert found.owner == "process-2"
