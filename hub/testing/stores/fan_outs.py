"""Fan-outs are expanded in chunks."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from hub.ids import new_id
from hub.models import Event
from hub.stores.base import DeliveryQuery, NewDelivery, Page, Store
from hub.testing.clock import START
from hub.testing.stores.samples import TENANT, batch, entry, event, match
from hub.testing.stores.suite import OpenStore, StoreSuite


class FanOutConformance(StoreSuite):
    """The port `Intake`: fan-outs."""

    async def test_a_fan_out_is_expanded_in_chunks_and_each_cursor_works_once(self, store: Store) -> None:
        new = event()
        await store.intake.accept(batch(entry(new, fan_out=match())))
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
        await store.intake.accept(batch(entry(event(), fan_out=match())))
        (fan_out,) = await store.intake.fan_outs(10)
        chunk = [NewDelivery(new_id("dlv"), "sub_1", "webhook")]
        moved = await asyncio.gather(*(store.intake.expand(fan_out, chunk, "sub_1") for _ in range(20)))
        assert moved.count(True) == 1
        assert len((await store.archive.deliveries(TENANT, DeliveryQuery(), Page())).items) == 1

    async def test_fan_outs_come_oldest_first_and_survive_a_restart(self, opened: OpenStore) -> None:
        store = await opened.open()
        new = [event(deliver_at=START + timedelta(hours=1)) for _ in range(3)]
        for one in new:
            await store.intake.accept(batch(entry(one, fan_out=match())))
        store = await opened.reopen()
        assert [fan_out.event for fan_out in await store.intake.fan_outs(2)] == new[:2]
        (fan_out,) = await store.intake.fan_outs(1)
        assert await store.intake.expand(fan_out, [NewDelivery(new_id("dlv"), "sub_1", "webhook")], None)
        assert await store.queue.due() == {"sub_1": START + timedelta(hours=1)}

    async def test_whom_an_event_is_for_is_kept_until_its_fan_out_ends(self, store: Store) -> None:
        new, whom = event(), match("sub_1", "sub_2", channel="slack")
        await store.intake.accept(batch(entry(new, fan_out=whom)))
        (fan_out,) = await store.intake.fan_outs(10)
        name = fan_out.match
        assert name is not None
        for after in ("sub_1", None):
            kept = await store.intake.match(name)
            assert kept is not None
            assert kept.recipients == (("sub_1", "slack"), ("sub_2", "slack"))
            assert await store.intake.expand(fan_out, [], after)
            fan_out = replace(fan_out, after="sub_1")
        assert await store.intake.match(name) is None

    async def test_events_share_a_match_until_the_last_of_them_needs_it_no_more(self, store: Store) -> None:
        new, whom = [event() for _ in range(3)], match("sub_1")
        other = event()
        entries = [entry(one, index=n, fan_out=whom) for n, one in enumerate(new)]
        await store.intake.accept(batch(*entries, entry(other, index=3, fan_out=match("sub_2"))))
        first, second, third, apart = await store.intake.fan_outs(10)
        assert first.match == second.match == third.match != apart.match
        assert first.match is not None
        assert await store.intake.cancel(TENANT, new[0].id, START)
        assert await store.intake.expand(second, [], None)
        assert await store.intake.match(first.match) is not None
        assert await store.intake.expand(third, [], None)
        assert await store.intake.match(first.match) is None
        assert apart.match is not None
        assert await store.intake.match(apart.match) is not None

    async def test_tenants_that_have_fan_outs_take_turns(self, store: Store) -> None:
        new = [event(tenant=tenant) for tenant in ("ten_b", "ten_a", "ten_c", "ten_a")]
        for one in new:
            await store.intake.accept(batch(entry(one, fan_out=match()), tenant=one.tenant))

        async def turn(after: str, limit: int = 10) -> list[Event]:
            return [fan_out.event for fan_out in await store.intake.fan_outs(limit, after)]

        assert await turn("") == [new[1], new[3]]
        assert await turn("", 1) == [new[1]]
        assert await turn("ten_a") == [new[0]]
        assert await turn("ten_b") == [new[2]]
        assert await turn("ten_c") == [new[1], new[3]]
        assert await turn("ten_aa") == [new[0]]
