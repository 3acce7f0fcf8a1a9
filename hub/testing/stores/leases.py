"""A lease has one holder at a time."""

import asyncio

from hub.stores.base import Store
from hub.testing.clock import ManualClock
from hub.testing.stores.suite import StoreSuite


class LeasesConformance(StoreSuite):
    """The port `Leases`."""

    async def test_a_lease_is_held_by_one_until_its_time_is_over(self, store: Store, clock: ManualClock) -> None:
        first = await store.leases.acquire("scheduler", "a", 10.0)
        assert first is not None
        assert await store.leases.acquire("scheduler", "b", 10.0) is None
        clock.advance(9.999)
        assert await store.leases.acquire("scheduler", "b", 10.0) is None
        clock.advance(0.001)
        second = await store.leases.acquire("scheduler", "b", 10.0)
        assert second is not None
        assert second > first
        assert await store.leases.acquire("scheduler", "a", 10.0) is None

    async def test_a_holder_that_renews_in_time_keeps_the_token(self, store: Store, clock: ManualClock) -> None:
        token = await store.leases.acquire("scheduler", "a", 10.0)
        for _ in range(5):
            clock.advance(9)
            assert await store.leases.acquire("scheduler", "a", 10.0) == token
        clock.advance(10)
        late = await store.leases.acquire("scheduler", "a", 10.0)
        assert late is not None
        assert token is not None
        assert late > token, "another holder may have had it meanwhile"

    async def test_a_lease_that_is_released_is_free_at_once_and_its_next_token_is_higher(self, store: Store) -> None:
        token = await store.leases.acquire("scheduler", "a", 10.0)
        await store.leases.release("scheduler", "a")
        taken = await store.leases.acquire("scheduler", "b", 10.0)
        assert taken is not None
        assert token is not None
        assert taken > token

    async def test_a_lease_is_not_released_by_another_holder(self, store: Store) -> None:
        await store.leases.acquire("scheduler", "a", 10.0)
        await store.leases.release("scheduler", "b")
        await store.leases.release("unknown", "b")
        assert await store.leases.acquire("scheduler", "b", 10.0) is None

    async def test_leases_are_independent_of_each_other(self, store: Store, clock: ManualClock) -> None:
        await store.leases.acquire("process/a", "a", 5.0)
        assert await store.leases.acquire("process/b", "b", 10.0) is not None
        assert await store.leases.held(["process/a", "process/b", "process/c"]) == {"process/a", "process/b"}
        clock.advance(5)
        assert await store.leases.held(["process/a", "process/b"]) == {"process/b"}
        assert await store.leases.held([]) == frozenset()

    async def test_of_many_who_acquire_at_once_one_succeeds(self, store: Store) -> None:
        tokens = await asyncio.gather(*(store.leases.acquire("scheduler", str(number), 10.0) for number in range(20)))
        assert sum(token is not None for token in tokens) == 1
