"""A real store and a broadcaster over it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.ids import new_id
from hub.models import FeedEntry, FeedKind, Task, TaskStatus
from hub.shares import MemoryBudget
from hub.stores import open_store
from hub.stores.base import Feed, Store
from hub.stream import Broadcaster, Limits, Selection, open_broadcaster
from hub.stream.listener import State
from hub.testing.clock import ManualClock
from hub.testing.patience import patience
from tests.hub.stream.ears import Ear

EVERYTHING = Selection()
NAMES = {"sub_1": 'sales "room" é'}
"""Subscriptions by id."""


def entry(tenant: str = "default", kind: FeedKind = FeedKind.EVENT_ACCEPTED, **members: Any) -> FeedEntry:
    return FeedEntry(tenant, kind, **{"data": b'{"id":"evt_1"}', "event_type": "order.created", **members})


@dataclass
class Stage:
    """Writes to a feed, and listens to it."""

    store: Store
    clock: ManualClock
    stream: Broadcaster
    open_stream: Callable[[Feed, Limits], Any]

    async def write(self, *entries: FeedEntry) -> int:
        """Append entries in one commit; gives the id of the last."""
        now = self.clock.now()
        task = Task(
            id=new_id("tsk"), tenant="other", kind="x", status=TaskStatus.PENDING, created_at=now, updated_at=now
        )
        await self.store.tasks.save(task, entries or (entry(),))
        return (await self.store.feed.bounds())[1]

    async def trim(self, up_to: int) -> None:
        """Let entries up to this id be forgotten."""
        newest = (await self.store.feed.bounds())[1]
        before = self.clock.now() - timedelta(days=1)
        await self.store.upkeep.trim_feed(before, newest - up_to, 100_000)
        assert (await self.store.feed.bounds())[0] == up_to

    async def listen(
        self,
        last_event_id: str | None = None,
        selection: Selection = EVERYTHING,
        *,
        tenant: str = "default",
        allowed: Callable[[], bool] = lambda: True,
        stream: Broadcaster | None = None,
    ) -> Ear:
        return Ear(await (stream or self.stream).listen(tenant, selection, last_event_id, allowed))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with patience():
            while not holds():
                await asyncio.sleep(0.001)

    async def attached(self, count: int, stream: Broadcaster | None = None) -> None:
        """Once so many listeners are past their history."""
        registry = (stream or self.stream)._registry
        await self.until(lambda: sum(listener.state is State.ATTACHED for listener in registry) >= count)

    async def settle(self) -> None:
        """Give what should not happen some time to happen."""
        await self.store.feed.bounds()
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def stage(tmp_path: Path, limits: Limits) -> AsyncIterator[Stage]:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(f"sqlite:///{tmp_path / 'hub.db'}", clock))
        stream = await stack.enter_async_context(
            open_broadcaster(store.feed, clock, limits, NAMES.get, MemoryBudget(10**8))
        )

        async def another(feed: Feed, limits: Limits) -> Broadcaster:
            return await stack.enter_async_context(
                open_broadcaster(feed, clock, limits, NAMES.get, MemoryBudget(10**8))
            )

        yield Stage(store, clock, stream, another)
