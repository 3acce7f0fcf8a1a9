"""Everything is copied from a file into the store, and from the store into another file.

The two files are then compared: the store must give what it was given.
"""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from hub.models import Event, Status
from hub.stores.base import (
    CopyState,
    Section,
    Store,
)
from hub.testing.clock import START, ManualClock
from hub.testing.stores.copying import PIECEMEAL, CopyingSuite, Files, begun, everything, fill, move
from hub.testing.stores.samples import TENANT, claim, publish, result
from hub.testing.stores.suite import OpenStore


class TransferConformance(CopyingSuite):
    """The port `Transfer`."""

    @pytest.mark.parametrize("limit", [1, 3, 100])
    async def test_all_of_it_is_in_the_store_and_comes_out_again_as_it_was(
        self, store: Store, files: Files, origin: Mapping[str, Event], limit: int
    ) -> None:
        first, second = files
        await move(first.transfer, store.transfer, limit=limit)
        given = await everything(first.transfer)
        assert await everything(store.transfer, limit=limit) == given
        assert await store.transfer.totals() == await first.transfer.totals()
        await move(store.transfer, second.transfer, limit=limit)
        assert await everything(second.transfer) == given
        assert await second.transfer.totals() == await first.transfer.totals()

    async def test_the_totals_count_what_there_is(self, store: Store, files: Files, clock: ManualClock) -> None:
        nothing = dict.fromkeys([*Section, "deliveries", "attempts"], 0)
        del nothing[Section.COUNTERS]
        assert await store.transfer.totals() == nothing
        await fill(store, clock)
        first, _ = files
        await fill(first, clock)
        totals = await store.transfer.totals()
        assert totals == await first.transfer.totals()
        assert (totals["events"], totals["deliveries"], totals["attempts"]) == (10, 9, 6)

    async def test_a_piece_that_is_written_twice_is_there_once(
        self, store: Store, files: Files, origin: Mapping[str, Event]
    ) -> None:
        first, _ = files
        await begun(first.transfer, store.transfer)
        await begun(first.transfer, store.transfer)
        for section in PIECEMEAL:
            after = ""
            while (piece := await first.transfer.read(section, after, 4)).documents:
                await store.transfer.write(section, piece)
                await store.transfer.write(section, piece)
                after = piece.after
        assert await everything(store.transfer) == await everything(first.transfer)
        assert await store.transfer.totals() == await first.transfer.totals()

    async def test_what_was_reached_is_remembered_with_each_piece_and_goes_on_from_there(
        self, opened: OpenStore, files: Files, origin: Mapping[str, Event]
    ) -> None:
        first, _ = files
        store = await opened.open()
        assert await store.transfer.state() is None
        for section in PIECEMEAL:
            for number in range(100):
                reached = (await begun(first.transfer, store.transfer)).reached
                piece = await first.transfer.read(section, reached.get(section, ""), 2)
                if not piece.documents:
                    break
                await store.transfer.write(section, piece)
                expected = CopyState("what the source is like", {**reached, section: piece.after}, complete=False)
                assert await store.transfer.state() == expected
                if number % 2:
                    store = await opened.reopen()
        await store.transfer.complete()
        store = await opened.reopen()
        state = await store.transfer.state()
        assert state is not None
        assert (state.source_mark, state.complete) == ("what the source is like", True)
        assert await everything(store.transfer) == await everything(first.transfer)

    async def test_the_counts_of_pieces_come_to_the_total(
        self, store: Store, files: Files, origin: Mapping[str, Event]
    ) -> None:
        await move(files[0].transfer, store.transfer)
        totals = await store.transfer.totals()
        for section in totals.keys() & set(Section):
            after, count = "", 0
            while (piece := await store.transfer.read(Section(section), after, 2)).documents:
                after, count = piece.after, count + piece.count
            assert (section, count) == (section, totals[section])

    async def test_an_event_with_very_many_deliveries_goes_on_over_several_pieces(
        self, opened: OpenStore, files: Files, clock: ManualClock
    ) -> None:
        first, second = files
        await publish(first)
        lanes = [f"sub_{n:04}" for n in range(2_300)]
        big = await publish(first, *lanes)
        await publish(first)
        await first.queue.finish([result(one, Status.DELIVERED) for one in await claim(first, *lanes[:2_000])])
        store = await opened.open()
        await move(first.transfer, store.transfer)
        assert (await store.transfer.totals())["deliveries"] == len(lanes)
        given = await everything(first.transfer)
        assert await everything(store.transfer) == given
        await move(store.transfer, second.transfer)
        assert await everything(second.transfer) == given
        store = await opened.reopen()
        assert (await store.upkeep.purge(START + timedelta(days=1), 10)).number == 2
        assert await store.archive.event(TENANT, big.id) == big
        assert len(await claim(store, *lanes)) == 300

    async def test_a_feed_that_was_trimmed_whole_gives_no_id_again(
        self, opened: OpenStore, files: Files, clock: ManualClock
    ) -> None:
        first, second = files
        await publish(first)
        await publish(first)
        assert (await first.upkeep.trim_feed(START + timedelta(days=1), 10, 10)).number == 2
        store = await opened.open()
        await move(first.transfer, store.transfer)
        assert await store.feed.bounds() == (2, 2)
        await move(store.transfer, second.transfer)
        assert await second.feed.bounds() == (2, 2)
        store = await opened.reopen()
        await publish(store)
        assert [row.id for row in await store.feed.read(0, 10)] == [3]
