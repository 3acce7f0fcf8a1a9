"""Fan-outs are expanded in chunks."""

import asyncio
from datetime import timedelta

from hub.ids import new_id
from hub.stores.base import DeliveryQuery, NewDelivery, Page, Store
from hub.testing.clock import START
from hub.testing.stores.samples import TENANT, batch, entry, event
from hub.testing.stores.suite import OpenStore, StoreSuite


class FanOutConformance(StoreSuite):
    """The port `Intake`: fan-outs."""

    async def test_a_fan_out_is_expanded_in_chunks_and_each_cursor_works_once(self, store: Store) -> None:
        new = event()
        await store.intake.accept(batch(entry(new, fan_out=True)))
        (fan_out,) = await store.intake.fan_outs(10)
        assert (fan_out.event, fan_out.after) == (new, "")
        first = [NewDelivery(new_id("dlv"), f"sub_{n}", "webhook") for n in range(3)]
        assert await store.intake.expand(fan_out, first, "sub_2")
        assert not await store.intake.expand(fan_out, first, "sub_2")
        (moved,) = await store.intake.fan_outs(10)
        assert moved.after == "sub_2"
        assert await store.intake.expand(moved, [NewDelivery(new_id("dlv"), "sub_3", "slack")], None)
        assert await store.intake.fan_outs(10) == []
        assert set(await store.queue.due()) == {"sub_0", "sub_1", "sub_2", "sub_3"}

    async def test_of_parallel_expansions_of_one_cursor_one_counts(self, store: Store) -> None:
        await store.intake.accept(batch(entry(event(), fan_out=True)))
        (fan_out,) = await store.intake.fan_outs(10)
        chunk = [NewDelivery(new_id("dlv"), "sub_1", "webhook")]
        moved = await asyncio.gather(*(store.intake.expand(fan_out, chunk, "sub_1") for _ in range(20)))
        assert moved.count(True) == 1
        assert len((await store.archive.deliveries(TENANT, DeliveryQuery(), Page())).items) == 1

    async def test_fan_outs_come_oldest_first_and_survive_a_restart(self, opened: OpenStore) -> None:
        store = await opened.open()
        new = [event(deliver_at=START + timedelta(hours=1)) for _ in range(3)]
        for one in new:
            await store.intake.accept(batch(entry(one, fan_out=True)))
        store = await opened.reopen()
        assert [fan_out.event for fan_out in await store.intake.fan_outs(2)] == new[:2]
        (fan_out,) = await store.intake.fan_outs(1)
        assert await store.intake.expand(fan_out, [NewDelivery(new_id("dlv"), "sub_1", "webhook")], None)
        assert await store.queue.due() == {"sub_1": START + timedelta(hours=1)}
