"""What processes on one store share: lanes, leases, the catalogue, and signals about each other's work."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
import pytest_asyncio

from hub.errors import StaleCatalogue
from hub.models import Outcome, Record, Status
from hub.stores.base import ClaimRequest, FanOut, HealthMark, LanePolicy, NewDelivery, Signal, Store, WriteOutcome
from hub.stores.gate import THRESHOLD
from hub.testing.clock import START, ManualClock
from hub.testing.patience import soon
from hub.testing.stores.samples import batch, entry, event, match, publish, result
from hub.testing.stores.suite import OpenStore, StoreSuite

LANE = "sub_1"
CAP = 4
SOON = START + timedelta(seconds=30)


async def claimed(store: Store, policy: LanePolicy, limit: int = 100) -> int:
    answer = await store.queue.claim([ClaimRequest(LANE, limit, policy=policy)], {LANE: 30.0})
    return len(answer.claims)


async def heard(store: Store) -> Signal:
    return await soon(store.signals.next())


class SharedStoreConformance(StoreSuite):
    """All ports of a store that several processes have open."""

    @pytest_asyncio.fixture(loop_scope="function")
    async def other(self, store: Store, opened: OpenStore) -> Store:
        """The same store in another process."""
        return await opened.open()

    async def test_the_cap_holds_over_all_processes(self, store: Store, other: Store) -> None:
        for _ in range(40):
            await publish(store, LANE)
        numbers = await asyncio.gather(*(claimed(one, LanePolicy(CAP), 2) for one in (store, other) * 10))
        assert sum(numbers) == CAP

    async def test_the_rate_holds_over_all_processes(self, store: Store, other: Store, clock: ManualClock) -> None:
        for _ in range(60):
            await publish(store, LANE)
        started = 0
        for _ in range(100):
            started += await claimed(store, LanePolicy(per_second=5.0))
            started += await claimed(other, LanePolicy(per_second=5.0))
            clock.advance(0.1)
        assert 50 <= started <= 51

    async def test_failures_that_several_processes_see_open_one_breaker_and_one_of_them_tries(
        self, store: Store, other: Store, clock: ManualClock
    ) -> None:
        for _ in range(THRESHOLD * 2):
            await publish(store, LANE)
        for one in (store, other):
            answer = await one.queue.claim([ClaimRequest(LANE, THRESHOLD // 2)], {LANE: 30.0})
            bad = [
                dataclasses.replace(result(c, Status.DEAD, Outcome.FAILED), health_mark=HealthMark.BAD)
                for c in answer.claims
            ]
            assert set(await one.queue.finish(bad)) == {WriteOutcome.RECORDED}
        assert await claimed(store, LanePolicy()) + await claimed(other, LanePolicy()) == 0
        assert await store.queue.health([LANE]) == await other.queue.health([LANE])
        clock.advance(3)
        assert sorted([await claimed(store, LanePolicy()), await claimed(other, LanePolicy())]) == [0, 1]

    async def test_what_one_process_claimed_another_may_finish_and_of_two_results_one_counts(
        self, store: Store, other: Store
    ) -> None:
        await publish(store, LANE)
        (one,) = (await store.queue.claim([ClaimRequest(LANE, 1)], {LANE: 30.0})).claims
        written = await asyncio.gather(
            *(process.queue.finish([result(one, Status.DELIVERED)]) for process in (store, other) * 5)
        )
        assert sorted(what for (what,) in written) == [*[WriteOutcome.FENCED] * 9, WriteOutcome.RECORDED]

    async def test_a_lease_that_has_run_out_is_taken_over_by_one_process(
        self, store: Store, other: Store, clock: ManualClock
    ) -> None:
        for _ in range(20):
            await publish(store, LANE)
        assert await claimed(store, LanePolicy()) == 20
        clock.advance(30)
        taken = await asyncio.gather(*(process.queue.reclaim(5) for process in (store, other) * 5))
        ids = [claim.delivery.id for claims in taken for claim in claims]
        assert len(ids) == len(set(ids)) == 20

    async def test_a_lease_belongs_to_one_process(self, store: Store, other: Store, clock: ManualClock) -> None:
        token = await store.leases.acquire("scheduler", "a", 10.0)
        assert await other.leases.acquire("scheduler", "b", 10.0) is None
        clock.advance(10)
        second = await other.leases.acquire("scheduler", "b", 10.0)
        assert token is not None
        assert second is not None
        assert second > token
        assert await other.schedules.record("retention", b"b", second)
        assert not await store.schedules.record("retention", b"a", token)

    async def test_what_one_process_tells_is_told_to_the_others(self, store: Store, other: Store) -> None:
        await store.reports.put("one", b"held", 15.0)
        assert await other.reports.told() == {"one": b"held"}

    async def test_a_ticket_of_one_process_is_replaced_at_another(self, store: Store, other: Store) -> None:
        await store.tickets.put("digest", b"one", 30.0)
        assert await other.tickets.find("digest") == b"one"
        assert await other.tickets.replace("digest", b"one", b"two", 30.0)
        assert await store.tickets.extend({"digest": b"one"}, 30.0) == frozenset()
        assert await store.tickets.find("digest") == b"two"

    async def test_an_accepted_event_is_heard_of_with_its_lanes_and_when_they_are_due(
        self, store: Store, other: Store
    ) -> None:
        await publish(store, "sub_1", "sub_2", deliver_at=SOON)
        assert (await heard(other)).due == {"sub_1": SOON, "sub_2": SOON}
        await publish(store, "sub_2")
        assert (await heard(other)).due.keys() == {"sub_2"}

    async def test_more_work_of_a_lane_that_has_some_due_is_not_told_again(self, store: Store, other: Store) -> None:
        await publish(store, LANE)
        assert (await heard(other)).due == {LANE: None}
        await publish(store, LANE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.signals.next(), 0.3)

    async def test_a_fan_out_is_heard_of_and_so_are_the_lanes_that_it_comes_to(
        self, store: Store, other: Store
    ) -> None:
        new = event()
        await store.intake.accept(batch(entry(new, fan_out=match())))
        assert (await heard(other)).fans_out
        assert await store.intake.expand(FanOut(new, ""), [NewDelivery("dlv_1", LANE, "webhook")], None)
        assert LANE in (await heard(other)).due

    async def test_a_change_of_the_catalogue_is_heard_of(self, store: Store, other: Store) -> None:
        version = await store.records.write([Record("subscription", "ten_a", LANE, b"{}")])
        assert await heard(other) == Signal(catalogue=True)
        assert (await other.records.changes(version - 1))[1] == version

    async def test_a_delivery_that_waits_again_is_heard_of(self, store: Store, other: Store) -> None:
        await publish(store, LANE)
        (one,) = (await store.queue.claim([ClaimRequest(LANE, 1)], {LANE: 30.0})).claims
        assert (await heard(other)).due == {LANE: None}
        await store.queue.finish([result(one, Status.PENDING, Outcome.FAILED, next_attempt_at=SOON)])
        assert (await heard(other)).due == {LANE: SOON}

    async def test_a_process_that_was_told_that_a_lane_is_full_hears_when_another_makes_room(
        self, store: Store, opened: OpenStore
    ) -> None:
        for _ in range(2):
            await publish(store, LANE)
        other = await opened.open()
        (one,) = (await store.queue.claim([ClaimRequest(LANE, 1, policy=LanePolicy(1))], {LANE: 30.0})).claims
        assert (await other.queue.claim([ClaimRequest(LANE, 1, policy=LanePolicy(1))], {LANE: 30.0})).full == {LANE}
        await store.queue.finish([result(one, Status.DELIVERED)])
        assert LANE in (await heard(other)).due
        assert await claimed(other, LanePolicy(1)) == 1

    async def test_nothing_is_heard_while_nothing_happens(self, store: Store, other: Store) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.signals.next(), 0.3)

    async def test_of_two_processes_that_change_the_catalogue_at_once_one_has_to_look_again(
        self, store: Store, other: Store
    ) -> None:
        _, version = await store.records.changes(0)
        tries = [
            process.records.write([Record("key", "ten_a", "k", b"{}")], expected=version) for process in (store, other)
        ]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(outcome, StaleCatalogue) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, int) for outcome in outcomes) == 1

    async def test_an_event_is_not_accepted_against_a_catalogue_that_another_process_changed(
        self, store: Store, other: Store
    ) -> None:
        _, version = await store.records.changes(0)
        await other.records.write([Record("key", "ten_a", "k", b"{}")])
        with pytest.raises(StaleCatalogue):
            await store.intake.accept(batch(entry(event(), [LANE]), catalogue_version=version))
