"""What is due, in which order it is claimed, and for how long a claim is leased."""

import asyncio
import dataclasses
from datetime import timedelta

from hub.models import Cause, Outcome, Status
from hub.stores.base import (
    Claim,
    ClaimRequest,
    LaneClass,
    Result,
    Store,
    WriteOutcome,
)
from hub.testing.clock import START, ManualClock
from hub.testing.stores.lanes import LANE, backlog
from hub.testing.stores.samples import OTHER, TENANT, claim, publish, result
from hub.testing.stores.suite import OpenStore, StoreSuite


async def retry_later(store: Store, claims: tuple[Claim, ...], seconds: float) -> None:
    at = START + timedelta(seconds=seconds)
    results = [result(one, Status.PENDING, Outcome.FAILED, next_attempt_at=at) for one in claims]
    assert set(await store.queue.finish(results)) <= {WriteOutcome.RECORDED}


class QueueConformance(StoreSuite):
    """The port `Queue`: due times, claims and their leases."""

    async def test_due_names_for_every_lane_when_its_first_delivery_is_due(self, store: Store) -> None:
        assert await store.queue.due() == {}
        await publish(store, "sub_1", "sub_2", deliver_at=START + timedelta(hours=2))
        await publish(store, "sub_2", tenant=OTHER, deliver_at=START + timedelta(hours=1))
        assert await store.queue.due() == {"sub_1": START + timedelta(hours=2), "sub_2": START + timedelta(hours=1)}

    async def test_due_counts_a_retry_that_is_earlier_than_every_first_attempt(self, store: Store) -> None:
        await publish(store, LANE)
        await retry_later(store, await claim(store), 60)
        await publish(store, LANE, deliver_at=START + timedelta(hours=1))
        assert await store.queue.due() == {LANE: START + timedelta(seconds=60)}

    async def test_what_has_expired_while_it_waits_is_found_in_order_until_it_ends(
        self, store: Store, clock: ManualClock
    ) -> None:
        expiries = [START + timedelta(seconds=seconds) for seconds in (30, 10, 20)]
        late, first, second = [await publish(store, "sub_1", expires_at=at) for at in expiries]
        under_way = await publish(store, "sub_2", expires_at=expiries[1])
        await publish(store, "sub_1")
        await claim(store, "sub_2")
        clock.advance(20)
        assert await store.queue.expired(expiries[1] - timedelta(milliseconds=1), 100) == []
        found = await store.queue.expired(expiries[2], 100)
        assert [one.event_id for one in found] == [first.id, second.id]
        assert [one.event_id for one in await store.queue.expired(expiries[2], 1)] == [first.id]
        for one in found:
            dead = Result(one.model_copy(update={"status": Status.DEAD}))
            assert await store.queue.finish([dead]) == [WriteOutcome.RECORDED]
        assert await store.queue.expired(expiries[2], 100) == []
        (given_back,) = await store.queue.reclaim(10, all_owners=True)
        await store.queue.finish([result(given_back, Status.PENDING, Outcome.UNKNOWN)])
        clock.advance(120)
        found = await store.queue.expired(expiries[0] + timedelta(seconds=120), 100)
        assert {one.event_id for one in found} == {late.id, under_way.id}

    async def test_what_is_due_is_claimed_whatever_time_of_day_is_set_then(
        self, store: Store, clock: ManualClock
    ) -> None:
        for seconds in (3_600.0, -7_200.0):
            await publish(store, LANE)
            clock.set_back(seconds)
            assert len(await claim(store, LANE)) == 1

    async def test_a_claim_leases_the_delivery_counts_the_attempt_and_brings_the_event(
        self, store: Store, clock: ManualClock
    ) -> None:
        new = await publish(store, LANE)
        clock.advance(1)
        (claimed,) = await claim(store)
        assert claimed.event == new
        assert (claimed.cause, claimed.claimed_at) == (Cause.AUTOMATIC, START + timedelta(seconds=1))
        delivery = claimed.delivery
        assert (delivery.status, delivery.attempt_count, delivery.next_attempt_at) == (Status.SENDING, 1, None)
        assert delivery == await store.archive.delivery(TENANT, delivery.id)
        assert await claim(store) == ()
        assert await store.queue.due() == {}

    async def test_nothing_is_claimed_before_it_is_due_and_the_claim_says_when_that_is(
        self, store: Store, clock: ManualClock
    ) -> None:
        await publish(store, LANE, deliver_at=START + timedelta(seconds=10))
        await publish(store, LANE, deliver_at=START + timedelta(seconds=20))
        clock.advance(9.999)
        early = await store.queue.claim([ClaimRequest(LANE, 10)], {LANE: 30.0})
        assert (early.claims, early.next_due) == ((), {LANE: START + timedelta(seconds=10)})
        clock.advance(0.001)
        claimed = await store.queue.claim([ClaimRequest(LANE, 10)], {LANE: 30.0})
        assert len(claimed.claims) == 1
        assert claimed.next_due == {LANE: START + timedelta(seconds=20)}

    async def test_a_claim_takes_no_more_than_each_lane_has_room_for_and_says_where_more_is_due(
        self, store: Store
    ) -> None:
        for _ in range(5):
            await publish(store, "sub_1", "sub_2", "sub_3")
        claimed = await store.queue.claim(
            [ClaimRequest("sub_1", 2), ClaimRequest("sub_2", 9)], {"sub_1": 30.0, "sub_2": 30.0}
        )
        lanes = [one.delivery.subscription_id for one in claimed.claims]
        assert (lanes.count("sub_1"), lanes.count("sub_2"), len(lanes)) == (2, 5, 7)
        assert claimed.next_due == {"sub_1": START}

    async def test_deliveries_of_a_lane_are_claimed_in_order_of_due_time(
        self, store: Store, clock: ManualClock
    ) -> None:
        order = [await publish(store, LANE, deliver_at=START + timedelta(seconds=second)) for second in (3, 1, 2)]
        clock.advance(5)
        assert [one.event.id for one in await claim(store)] == [order[1].id, order[2].id, order[0].id]

    async def test_deliveries_due_at_once_are_claimed_in_the_order_of_acceptance(self, store: Store) -> None:
        order = [(await publish(store, LANE)).id for _ in range(10)]
        assert [one.event.id for one in await claim(store, limit=4) + await claim(store)] == order

    async def test_first_attempts_go_before_retries_and_either_fills_what_the_other_leaves(
        self, store: Store, clock: ManualClock
    ) -> None:
        retries = {(await publish(store, LANE)).id for _ in range(3)}
        await retry_later(store, await claim(store), 1)
        clock.advance(60)
        firsts = {(await publish(store, LANE, accepted_at=clock.now())).id for _ in range(3)}
        claimed = await claim(store, limit=4)
        assert {one.event.id for one in claimed[:3]} == firsts
        assert claimed[3].event.id in retries
        await retry_later(store, claimed, 1)
        firsts = {(await publish(store, LANE, accepted_at=clock.now())).id for _ in range(3)}
        preferring = await store.queue.claim([ClaimRequest(LANE, 7, LaneClass.RETRY)], {LANE: 30.0})
        assert {one.event.id for one in preferring.claims[6:]} <= firsts
        assert not {one.event.id for one in preferring.claims[:6]} & firsts

    async def test_what_is_sent_again_on_request_goes_behind_everything_else_unless_it_is_its_turn(
        self, store: Store, clock: ManualClock
    ) -> None:
        replays = {(await publish(store, LANE)).id for _ in range(3)}
        for one in await claim(store):
            again = result(one, Status.PENDING, Outcome.FAILED, next_attempt_at=clock.now())
            await store.queue.finish([dataclasses.replace(again, cause=Cause.REPLAY)])
        retry = (await publish(store, LANE)).id
        await retry_later(store, await claim(store, limit=1), 0)
        live = (await publish(store, LANE)).id
        (first,) = (await store.queue.claim([ClaimRequest(LANE, 1, LaneClass.REPLAY)], {LANE: 30.0})).claims
        assert (first.event.id in replays, first.cause) == (True, Cause.REPLAY)
        assert [one.event.id for one in await claim(store, limit=2)] == [live, retry]
        assert {one.event.id for one in await claim(store)} < replays

    async def test_a_replay_says_why_it_is_made(self, store: Store, clock: ManualClock) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        await store.queue.finish([result(claimed, Status.DEAD, Outcome.FAILED, reason="attempts used up")])
        dead = await store.archive.delivery(TENANT, claimed.delivery.id)
        assert dead is not None
        replayed = dead.model_copy(update={"status": Status.PENDING, "reason": None, "next_attempt_at": START})
        again = dataclasses.replace(
            result(claimed, Status.PENDING), delivery=replayed, attempt=None, cause=Cause.REPLAY
        )
        assert await store.queue.finish([again]) == [WriteOutcome.RECORDED]
        await publish(store, LANE)
        await retry_later(store, tuple(one for one in await claim(store) if one.cause is Cause.AUTOMATIC), 0)
        clock.advance(31)
        (stuck,) = await store.queue.reclaim(10)
        assert (stuck.cause, stuck.delivery.attempt_count) == (Cause.REPLAY, 2)
        await store.queue.finish([dataclasses.replace(result(stuck, Status.PENDING), cause=Cause.REPLAY)])
        assert [one.cause for one in await claim(store)] == [Cause.AUTOMATIC, Cause.REPLAY]

    async def test_parallel_claims_never_share_a_delivery(self, store: Store) -> None:
        published = {(await publish(store, LANE)).id for _ in range(60)}
        claimed = await asyncio.gather(*(claim(store, limit=3) for _ in range(50)))
        events = [one.event.id for claims in claimed for one in claims]
        assert len(events) == len(set(events)) == 60
        assert set(events) == published

    async def test_a_lease_that_has_run_out_is_taken_over_once_for_a_minute(
        self, store: Store, clock: ManualClock
    ) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store, lease=30.0)
        clock.advance(29.999)
        assert await store.queue.reclaim(10) == []
        clock.advance(0.001)
        (taken,) = await store.queue.reclaim(10)
        assert taken.event == claimed.event
        assert taken.delivery.token > claimed.delivery.token
        assert (taken.delivery.attempt_count, taken.delivery.status) == (1, Status.SENDING)
        assert await store.queue.reclaim(10) == []
        clock.advance(60)
        assert len(await store.queue.reclaim(10)) == 1

    async def test_after_a_restart_the_leases_of_all_owners_can_be_taken_over_at_once(self, opened: OpenStore) -> None:
        store = await opened.open()
        for _ in range(3):
            await publish(store, LANE)
        claimed = await claim(store)
        store = await opened.reopen()
        assert await store.queue.reclaim(10) == []
        taken = await store.queue.reclaim(2, all_owners=True)
        assert len(taken) == 2
        assert await store.queue.finish([result(claimed[0], Status.DELIVERED)]) == [WriteOutcome.FENCED]

    async def test_finishing_ends_the_lease(self, store: Store, clock: ManualClock) -> None:
        await publish(store, LANE)
        await store.queue.finish([result((await claim(store))[0], Status.DELIVERED)])
        clock.advance(3_600)
        assert await store.queue.reclaim(10) == []
        assert await store.queue.reclaim(10, all_owners=True) == []

    async def test_a_lease_that_is_renewed_lasts_from_then_on(self, store: Store, clock: ManualClock) -> None:
        await backlog(store, 2)
        kept, left = await claim(store, lease=10.0)
        clock.advance(9)
        await store.queue.renew([kept], 10.0)
        clock.advance(9.999)
        assert [one.delivery.id for one in await store.queue.reclaim(10)] == [left.delivery.id]
        clock.advance(0.001)
        (taken,) = await store.queue.reclaim(10)
        assert taken.delivery.id == kept.delivery.id

    async def test_what_was_taken_over_or_ended_is_not_renewed(self, store: Store, clock: ManualClock) -> None:
        await backlog(store, 2)
        lost, done = await claim(store, lease=10.0)
        await store.queue.finish([result(done, Status.DELIVERED)])
        clock.advance(10)
        (taken,) = await store.queue.reclaim(10)
        await store.queue.renew([lost, done], 3_600.0)
        clock.advance(60)
        (again,) = await store.queue.reclaim(10)
        assert again.delivery.id == taken.delivery.id
        assert await store.queue.finish([result(again, Status.DELIVERED)]) == [WriteOutcome.RECORDED]
        await store.queue.renew([], 30.0)
