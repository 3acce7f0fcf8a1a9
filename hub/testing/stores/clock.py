"""A store's time goes on as time does, and what was seen of clocks is kept."""

from hub.stores.base import ClockMark, Store
from hub.stores.milliseconds import milliseconds
from hub.testing.clock import START, ManualClock
from hub.testing.stores.suite import OpenStore, StoreSuite

MARK = ClockMark("boot", 12.5, 1_000, 2_000, wall_off=-7_200.0, store_off=3.5, held=60.0)


class ClockConformance(StoreSuite):
    """The port `StoreClock`."""

    async def test_the_stores_time_moves_with_the_clock(self, store: Store, clock: ManualClock) -> None:
        assert await store.clock.now() == milliseconds(START)
        clock.advance(1.5)
        assert await store.clock.now() == milliseconds(START) + 1_500

    async def test_the_last_mark_is_kept_over_restarts(self, opened: OpenStore) -> None:
        store = await opened.open()
        assert await store.clock.mark() is None
        await store.clock.keep(ClockMark("boot", 1.0, 1, 1))
        await store.clock.keep(MARK)
        assert await store.clock.mark() == MARK
        assert await (await opened.reopen()).clock.mark() == MARK
