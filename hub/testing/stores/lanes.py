"""What a lane lets through (its cap, its rate, its pauses), and what a claim says about it."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from hub.models import Outcome, Status
from hub.stores.base import (
    SLOWEST_PER_SECOND,
    UNBOUNDED,
    Claim,
    ClaimRequest,
    ClaimResult,
    HealthMark,
    LanePolicy,
    Result,
    Store,
    WriteOutcome,
)
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import TENANT, publish, result
from hub.testing.stores.suite import OpenStore, StoreSuite

LANE = "sub_1"
HERE = frozenset({LANE})
NONE: frozenset[str] = frozenset()


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def ask(store: Store, policy: LanePolicy = UNBOUNDED, limit: int = 100) -> ClaimResult:
    want = ClaimRequest(LANE, limit, policy=policy)
    return await store.queue.claim([want], {LANE: 30.0})


def ended(one: Claim, mark: HealthMark = HealthMark.NONE, pause_seconds: float | None = None) -> Result:
    return dataclasses.replace(result(one, Status.DELIVERED), health_mark=mark, pause_seconds=pause_seconds)


async def end(store: Store, claims: Sequence[Claim], mark: HealthMark = HealthMark.NONE) -> None:
    written = await store.queue.finish([ended(one, mark) for one in claims])
    assert written == [WriteOutcome.RECORDED] * len(claims)


async def backlog(store: Store, number: int) -> None:
    for _ in range(number):
        await publish(store, LANE)


class LanesConformance(StoreSuite):
    """The port `Queue`: caps, rates and pauses of lanes."""

    async def test_no_more_than_the_cap_is_under_way_and_the_claim_says_that_the_lane_is_full(
        self, store: Store
    ) -> None:
        await backlog(store, 5)
        first = await ask(store, LanePolicy(2))
        assert (len(first.claims), first.next_due, first.full) == (2, {}, HERE)
        again = await ask(store, LanePolicy(2))
        assert (again.claims, again.next_due, again.full) == ((), {}, HERE)
        await end(store, first.claims[:1])
        assert len((await ask(store, LanePolicy(2))).claims) == 1

    async def test_a_lane_with_nothing_due_is_not_full(self, store: Store) -> None:
        await publish(store, LANE)
        await publish(store, LANE, deliver_at=after(60))
        claimed = await ask(store, LanePolicy(1))
        assert (len(claimed.claims), claimed.full) == (1, NONE)
        assert claimed.next_due == {LANE: after(60)}
        assert claimed.barred == NONE

    async def test_parallel_claims_share_the_cap(self, store: Store) -> None:
        await backlog(store, 30)
        answers = await asyncio.gather(*(ask(store, LanePolicy(7), limit=3) for _ in range(20)))
        assert sum(len(answer.claims) for answer in answers) == 7

    async def test_each_lane_of_a_claim_is_bounded_by_its_own_policy(self, store: Store) -> None:
        for _ in range(4):
            await publish(store, "sub_1", "sub_2", "sub_3")
        policies = {"sub_1": LanePolicy(1), "sub_2": LanePolicy(3), "sub_3": LanePolicy()}
        wants = [ClaimRequest(lane, 100, policy=policy) for lane, policy in policies.items()]
        claimed = await store.queue.claim(wants, dict.fromkeys(policies, 30.0))
        lanes = [one.delivery.subscription_id for one in claimed.claims]
        assert [lanes.count(lane) for lane in policies] == [1, 3, 4]
        assert (claimed.full, claimed.next_due) == (frozenset({"sub_1", "sub_2"}), {})

    async def test_what_is_under_way_stays_so_over_a_restart_until_its_result_is_written(
        self, opened: OpenStore
    ) -> None:
        store = await opened.open()
        await backlog(store, 3)
        await ask(store, LanePolicy(2))
        store = await opened.reopen()
        assert (await ask(store, LanePolicy(2))).full == HERE
        taken = await store.queue.reclaim(10, all_owners=True)
        assert (await ask(store, LanePolicy(2))).full == HERE
        await end(store, taken)
        assert len((await ask(store, LanePolicy(2))).claims) == 1

    async def test_a_result_that_is_fenced_gives_no_room_back(self, store: Store, clock: ManualClock) -> None:
        await backlog(store, 2)
        (lost,) = (await ask(store, LanePolicy(1))).claims
        clock.advance(31)
        taken = await store.queue.reclaim(10)
        assert await store.queue.finish([ended(lost)]) == [WriteOutcome.FENCED]
        assert (await ask(store, LanePolicy(1))).full == HERE
        await end(store, taken)
        assert len((await ask(store, LanePolicy(1))).claims) == 1

    async def test_a_result_that_may_not_be_written_gives_no_room_back_until_another_is(self, store: Store) -> None:
        new = await publish(store, LANE)
        await publish(store, LANE)
        (claimed,) = (await ask(store, LanePolicy(1))).claims
        await store.intake.cancel(TENANT, new.id, START)
        waiting = result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=START)
        assert await store.queue.finish([waiting]) == [WriteOutcome.EVENT_CANCELLED]
        assert (await ask(store, LanePolicy(1))).full == HERE
        await store.queue.finish([result(claimed, Status.CANCELLED, Outcome.FAILED)])
        assert len((await ask(store, LanePolicy(1))).claims) == 1

    async def test_a_delivery_that_waits_again_is_not_under_way(self, store: Store, clock: ManualClock) -> None:
        await publish(store, LANE)
        (claimed,) = (await ask(store, LanePolicy(1))).claims
        await store.queue.finish([result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=after(5))])
        assert (await ask(store, LanePolicy(1))).next_due == {LANE: after(5)}
        clock.advance(5)
        assert len((await ask(store, LanePolicy(1))).claims) == 1

    async def test_starts_are_spaced_by_the_rate_and_the_claim_says_when_the_next_may_be(
        self, store: Store, clock: ManualClock
    ) -> None:
        await backlog(store, 30)
        started = 0
        while clock.now() < after(10):
            claimed = await ask(store, LanePolicy(per_second=2.0))
            started += len(claimed.claims)
            assert claimed.barred == HERE
            clock.advance((claimed.next_due[LANE] - clock.now()).total_seconds())
        assert started == 21

    async def test_nothing_starts_before_the_instant_that_was_told(self, store: Store, clock: ManualClock) -> None:
        await backlog(store, 3)
        told = (await ask(store, LanePolicy(per_second=3.0))).next_due[LANE]
        clock.advance((told - START).total_seconds() - 0.001)
        assert (await ask(store, LanePolicy(per_second=3.0))).claims == ()
        clock.advance(0.001)
        assert len((await ask(store, LanePolicy(per_second=3.0))).claims) == 1

    async def test_a_claim_that_gets_nothing_spends_nothing_of_the_rate(self, store: Store) -> None:
        for _ in range(5):
            assert (await ask(store, LanePolicy(per_second=1.0))).claims == ()
        await backlog(store, 2)
        assert len((await ask(store, LanePolicy(per_second=1.0))).claims) == 1

    async def test_what_needs_no_attempt_leaves_at_once_and_spends_nothing_of_the_rate(
        self, store: Store, clock: ManualClock
    ) -> None:
        policy = LanePolicy(per_second=1.0)
        for number in range(60):
            new = await publish(store, LANE, expires_at=after(3) if number % 2 else None)
            if not number % 2:
                await store.intake.cancel(TENANT, new.id, START)
        live = [await publish(store, LANE) for _ in range(2)]
        clock.advance(3)
        sent: list[str] = []
        leaving = 0
        while not sent:
            claims = (await ask(store, policy, limit=5)).claims
            assert claims, "nothing was sent, so the rate lets something start"
            await end(store, claims)
            sent = [one.event.id for one in claims if one.needs_attempt(clock.now())]
            leaving += len(claims) - len(sent)
        assert (sent, leaving) == ([live[0].id], 60)
        spent = await ask(store, policy)
        assert (spent.claims, spent.barred) == ((), HERE)
        clock.advance(1)
        assert [one.event.id for one in (await ask(store, policy)).claims] == [live[1].id]

    async def test_a_burst_catches_up_with_no_more_than_a_tenth_of_a_second(
        self, store: Store, clock: ManualClock
    ) -> None:
        await backlog(store, 40)
        clock.advance(3_600)
        assert len((await ask(store, LanePolicy(per_second=100.0))).claims) == 11

    @pytest.mark.parametrize("per_second", [5e-324, 1e-310, 1e-300, 1e-20, 1e-13])
    async def test_no_rate_of_one_lane_keeps_the_others_from_being_claimed(
        self, store: Store, clock: ManualClock, per_second: float
    ) -> None:
        for _ in range(3):
            await publish(store, LANE, "sub_2")
        wants = [ClaimRequest(LANE, 5, policy=LanePolicy(per_second=per_second)), ClaimRequest("sub_2", 1)]
        for second in range(3):
            claimed = await store.queue.claim(wants, {LANE: 30.0, "sub_2": 30.0})
            lanes = [one.delivery.subscription_id for one in claimed.claims]
            assert sorted(lanes) == [LANE, "sub_2"][second > 0 :]
            assert claimed.barred == HERE
            assert clock.now() < claimed.next_due[LANE] <= after(1.1 / SLOWEST_PER_SECOND)
            await end(store, claimed.claims)
            clock.advance(1)

    async def test_a_pause_that_the_target_asked_for_holds_the_lane(self, store: Store, clock: ManualClock) -> None:
        await backlog(store, 3)
        (claimed,) = (await ask(store, limit=1)).claims
        await store.queue.finish([ended(claimed, HealthMark.GOOD, 30.0)])
        held = await ask(store)
        assert (held.claims, held.next_due, held.barred) == ((), {LANE: after(30)}, HERE)
        clock.advance(30)
        assert len((await ask(store)).claims) == 2

    async def test_a_claim_that_is_given_back_can_pause_the_lane_too(self, store: Store, clock: ManualClock) -> None:
        await backlog(store, 3)
        (claimed,) = (await ask(store, limit=1)).claims
        back = result(claimed, Status.PENDING, attempt_count=0, next_attempt_at=clock.now())
        back = dataclasses.replace(back, attempt=None, feed=(), pause_seconds=30.0)
        assert await store.queue.finish([back]) == [WriteOutcome.RECORDED]
        held = await ask(store)
        assert (held.claims, held.barred) == ((), HERE)
        clock.advance(30)
        again = (await ask(store)).claims
        assert {claim.delivery.attempt_count for claim in again} == {1}
        assert len(again) == 3

    async def test_a_delivery_that_is_due_after_the_pause_is_waited_for(self, store: Store) -> None:
        await publish(store, LANE)
        await publish(store, LANE, deliver_at=after(90))
        (claimed,) = (await ask(store)).claims
        await store.queue.finish([ended(claimed, HealthMark.GOOD, 30.0)])
        told = await ask(store)
        assert (told.next_due, told.barred) == ({LANE: after(90)}, NONE)
