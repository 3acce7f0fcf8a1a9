"""The feed is in order, has no holes, and wakes its readers at once."""

import asyncio
import itertools

import pytest

from hub.errors import StaleCatalogue
from hub.models import FeedEntry, FeedKind, FeedRow, Record, Status
from hub.stores.base import Store
from hub.testing.clock import START
from hub.testing.patience import soon
from hub.testing.stores.samples import OTHER, TENANT, batch, claim, entry, event, publish, result, task
from hub.testing.stores.suite import OpenStore, StoreSuite


class FeedConformance(StoreSuite):
    """The port `Feed`."""

    async def test_an_entry_is_read_back_as_it_was_written(self, store: Store) -> None:
        written = FeedEntry(
            TENANT, FeedKind.DELIVERY_DEAD, '{"ü":"\\n"}'.encode(), "order.created", "evt_1", "sub_1", Status.DEAD
        )
        await store.tasks.save(task(), [written])
        (row,) = await store.feed.read(0, 10)
        assert row == FeedRow(row.id, written)
        assert row.id > 0

    async def test_ids_only_grow_and_are_in_the_order_of_writing(self, store: Store) -> None:
        published = [(await publish(store)).id for _ in range(5)]
        rows = await store.feed.read(0, 10)
        assert [row.entry.event_id for row in rows] == published
        assert all(earlier.id < later.id for earlier, later in itertools.pairwise(rows))

    async def test_reading_goes_on_after_an_id_up_to_a_limit(self, store: Store) -> None:
        for _ in range(5):
            await publish(store)
        rows = await store.feed.read(0, 2)
        assert len(rows) == 2
        rest = await store.feed.read(rows[-1].id, 10)
        assert len(rest) == 3
        assert not await store.feed.read(rest[-1].id, 10)

    async def test_reading_of_one_tenant_leaves_out_the_others(self, store: Store) -> None:
        mine = [(await publish(store, tenant=tenant)).id for tenant in (TENANT, OTHER, TENANT)]
        rows = await store.feed.read(0, 10, TENANT)
        assert [row.entry.event_id for row in rows] == [mine[0], mine[2]]
        assert [row.entry.event_id for row in await store.feed.read(rows[0].id, 1, TENANT)] == [mine[2]]

    async def test_every_write_brings_its_entries_with_it(self, store: Store) -> None:
        await publish(store, "sub_1")
        (claimed,) = await claim(store)
        await store.queue.finish([result(claimed, Status.DELIVERED)])
        disabled = FeedEntry(TENANT, FeedKind.SUBSCRIPTION_DISABLED, b"{}")
        await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")], [disabled])
        await store.tasks.save(task(), [FeedEntry(TENANT, FeedKind.TASK_UPDATED, b"{}")])
        assert [row.entry.kind.value for row in await store.feed.read(0, 10)] == [
            "event.accepted",
            "delivery.attempted",
            "subscription.disabled",
            "task.updated",
        ]

    async def test_waiting_ends_when_something_new_can_be_read(self, store: Store) -> None:
        await publish(store)
        last = (await store.feed.read(0, 10))[-1].id
        await soon(store.feed.wait(last - 1))
        waiting = [asyncio.create_task(store.feed.wait(last)) for _ in range(50)]
        await asyncio.sleep(0)
        assert not any(one.done() for one in waiting)
        await publish(store)
        await soon(asyncio.gather(*waiting))
        assert len(await store.feed.read(last, 10)) == 1

    async def test_waiting_for_an_id_that_is_far_off_goes_on(self, store: Store) -> None:
        await publish(store)
        last = (await store.feed.read(0, 10))[-1].id
        waiting = asyncio.create_task(store.feed.wait(last + 1))
        await publish(store)
        await asyncio.sleep(0)
        assert not waiting.done()
        await publish(store)
        await soon(waiting)

    async def test_a_reader_that_only_waits_and_reads_sees_every_entry_once(self, store: Store) -> None:
        seen: list[str | None] = []

        async def follow() -> None:
            after = 0
            while len(seen) < 200:
                await store.feed.wait(after)
                rows = await store.feed.read(after, 7)
                seen.extend(row.entry.event_id for row in rows)
                after = rows[-1].id

        follower = asyncio.create_task(follow())
        posts = [[event() for _ in range(4)] for _ in range(50)]
        await asyncio.gather(
            *(store.intake.accept(batch(*(entry(e, index=n) for n, e in enumerate(p)))) for p in posts)
        )
        await soon(follower)
        assert len(set(seen)) == 200
        assert set(seen) == {one.id for post in posts for one in post}

    async def test_bounds_tell_what_was_trimmed_and_what_was_given(self, store: Store) -> None:
        assert await store.feed.bounds() == (0, 0)
        for _ in range(5):
            await publish(store)
        rows = await store.feed.read(0, 10)
        assert await store.feed.bounds() == (0, rows[-1].id)
        await store.upkeep.trim_feed(START, keep=2, limit=100)
        assert await store.feed.bounds() == (rows[2].id, rows[-1].id)
        assert list(await store.feed.read(0, 10)) == list(rows[3:])

    async def test_ids_go_on_after_everything_was_trimmed_and_the_store_restarted(self, opened: OpenStore) -> None:
        store = await opened.open()
        for _ in range(3):
            await publish(store)
        last = (await store.feed.read(0, 10))[-1].id
        await store.upkeep.trim_feed(START, keep=0, limit=100)
        assert await store.feed.bounds() == (last, last)
        store = await opened.reopen()
        assert await store.feed.bounds() == (last, last)
        waiting = asyncio.create_task(store.feed.wait(last))
        await publish(store)
        await soon(waiting)
        (row,) = await store.feed.read(last, 10)
        assert row.id > last

    async def test_a_write_that_is_refused_leaves_no_entry(self, store: Store) -> None:
        with pytest.raises(StaleCatalogue):
            await store.intake.accept(batch(entry(event()), catalogue_version=9))
        assert await store.feed.bounds() == (0, 0)
