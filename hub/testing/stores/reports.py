"""What a process tells of itself is there for the others until its time is up."""

from hub.stores.base import Store
from hub.testing.clock import ManualClock
from hub.testing.stores.suite import StoreSuite


class ReportsConformance(StoreSuite):
    """The port `Reports`."""

    async def test_the_last_report_of_each_process_is_told(self, store: Store) -> None:
        assert await store.reports.told() == {}
        await store.reports.put("one", b"first", 15.0)
        await store.reports.put("one", b"second", 15.0)
        await store.reports.put("two", b"", 15.0)
        assert await store.reports.told() == {"one": b"second", "two": b""}

    async def test_a_report_is_told_until_its_time_is_up(self, store: Store, clock: ManualClock) -> None:
        await store.reports.put("one", b"one", 15.0)
        clock.advance(10)
        await store.reports.put("two", b"two", 15.0)
        clock.advance(4)
        assert await store.reports.told() == {"one": b"one", "two": b"two"}
        clock.advance(1)
        assert await store.reports.told() == {"two": b"two"}
        await store.reports.put("one", b"again", 15.0)
        assert await store.reports.told() == {"one": b"again", "two": b"two"}
