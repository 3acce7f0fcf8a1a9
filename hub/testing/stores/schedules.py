"""The last run of each schedule is remembered."""

from hub.stores.base import Store
from hub.testing.stores.suite import StoreSuite


class SchedulesConformance(StoreSuite):
    """The port `Schedules`."""

    async def test_the_last_run_of_each_schedule_is_kept(self, store: Store) -> None:
        assert await store.schedules.runs() == {}
        assert await store.schedules.record("retention", b'{"n":1}', 1)
        assert await store.schedules.record("retention", b'{"n":2}', 1)
        assert await store.schedules.record("feed-trim", b'{"n":3}', 2)
        assert await store.schedules.runs() == {"retention": b'{"n":2}', "feed-trim": b'{"n":3}'}

    async def test_a_leader_that_was_replaced_records_nothing_over_its_successor(self, store: Store) -> None:
        assert await store.schedules.record("retention", b"the new leader's", 7)
        assert not await store.schedules.record("retention", b"the frozen leader's", 6)
        assert await store.schedules.runs() == {"retention": b"the new leader's"}
        assert await store.schedules.record("retention", b"the third's", 8)
        assert await store.schedules.runs() == {"retention": b"the third's"}
