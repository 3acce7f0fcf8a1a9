"""What a lane lets through: its cap, its rate, pauses, its breaker; and what a claim tells of it."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from hub.models import Outcome, Status
from hub.stores.base import (
    UNBOUNDED,
    BreakerState,
    Claim,
    ClaimRequest,
    ClaimResult,
    HealthMark,
    LaneHealth,
    LanePolicy,
    Result,
    Store,
    WriteOutcome,
)
from hub.stores.gate import FIRST_OPEN_SECONDS, OPEN_SPREAD, THRESHOLD
from tests.clock import START, ManualClock
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import TENANT, claim, publish, result

LANE = "sub_1"
HERE = frozenset({LANE})
NONE: frozenset[str] = frozenset()


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def ask(store: Store, policy: LanePolicy = UNBOUNDED, limit: int = 100) -> ClaimResult:
    want = ClaimRequest(LANE, limit, policy=policy)
    return await store.queue.claim([want], {LANE: 30.0})


def ended(one: Claim, mark: HealthMark = HealthMark.NONE, pause_until: datetime | None = None) -> Result:
    return dataclasses.replace(result(one, Status.DELIVERED), health_mark=mark, pause_until=pause_until)


async def end(store: Store, claims: Sequence[Claim], mark: HealthMark = HealthMark.NONE) -> None:
    written = await store.queue.finish([ended(one, mark) for one in claims])
    assert written == [WriteOutcome.RECORDED] * len(claims)


async def backlog(store: Store, number: int) -> None:
    for _ in range(number):
        await publish(store, LANE)


async def break_down(store: Store) -> None:
    """Open the breaker, with the rest of a backlog waiting."""
    await backlog(store, THRESHOLD * 3)
    await end(store, (await ask(store, limit=THRESHOLD)).claims, HealthMark.BAD)


# -- the cap ----------------------------------------------------------------------------------------------------------


async def test_no_more_than_the_cap_is_under_way_and_the_claim_says_that_the_lane_is_full(store: Store) -> None:
    await backlog(store, 5)
    first = await ask(store, LanePolicy(2))
    assert (len(first.claims), first.next_due, first.full) == (2, {}, HERE)
    again = await ask(store, LanePolicy(2))
    assert (again.claims, again.next_due, again.full) == ((), {}, HERE)
    await end(store, first.claims[:1])
    assert len((await ask(store, LanePolicy(2))).claims) == 1


async def test_a_lane_with_nothing_due_is_not_full(store: Store) -> None:
    await publish(store, LANE)
    await publish(store, LANE, deliver_at=after(60))
    claimed = await ask(store, LanePolicy(1))
    assert (len(claimed.claims), claimed.full) == (1, NONE)
    assert claimed.next_due == {LANE: after(60)}
    assert claimed.barred == NONE


async def test_parallel_claims_share_the_cap(store: Store) -> None:
    await backlog(store, 30)
    answers = await asyncio.gather(*(ask(store, LanePolicy(7), limit=3) for _ in range(20)))
    assert sum(len(answer.claims) for answer in answers) == 7


async def test_each_lane_of_a_claim_is_bounded_by_its_own_policy(store: Store) -> None:
    for _ in range(4):
        await publish(store, "sub_1", "sub_2", "sub_3")
    policies = {"sub_1": LanePolicy(1), "sub_2": LanePolicy(3), "sub_3": LanePolicy()}
    wants = [ClaimRequest(lane, 100, policy=policy) for lane, policy in policies.items()]
    claimed = await store.queue.claim(wants, dict.fromkeys(policies, 30.0))
    lanes = [one.delivery.subscription_id for one in claimed.claims]
    assert [lanes.count(lane) for lane in policies] == [1, 3, 4]
    assert (claimed.full, claimed.next_due) == (frozenset({"sub_1", "sub_2"}), {})


async def test_what_is_under_way_stays_so_over_a_restart_until_its_result_is_written(opened: OpenStore) -> None:
    store = await opened.open()
    await backlog(store, 3)
    await ask(store, LanePolicy(2))
    store = await opened.reopen()
    assert (await ask(store, LanePolicy(2))).full == HERE
    taken = await store.queue.reclaim(10, all_owners=True)
    assert (await ask(store, LanePolicy(2))).full == HERE
    await end(store, taken)
    assert len((await ask(store, LanePolicy(2))).claims) == 1


async def test_a_result_that_is_fenced_gives_no_room_back(store: Store, clock: ManualClock) -> None:
    await backlog(store, 2)
    (lost,) = (await ask(store, LanePolicy(1))).claims
    clock.advance(31)
    taken = await store.queue.reclaim(10)
    assert await store.queue.finish([ended(lost)]) == [WriteOutcome.FENCED]
    assert (await ask(store, LanePolicy(1))).full == HERE
    await end(store, taken)
    assert len((await ask(store, LanePolicy(1))).claims) == 1


async def test_a_result_that_may_not_be_written_gives_no_room_back_until_another_is(store: Store) -> None:
    new = await publish(store, LANE)
    await publish(store, LANE)
    (claimed,) = (await ask(store, LanePolicy(1))).claims
    await store.intake.cancel(TENANT, new.id, START)
    waiting = result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=START)
    assert await store.queue.finish([waiting]) == [WriteOutcome.EVENT_CANCELLED]
    assert (await ask(store, LanePolicy(1))).full == HERE
    await store.queue.finish([result(claimed, Status.CANCELLED, Outcome.FAILED)])
    assert len((await ask(store, LanePolicy(1))).claims) == 1


async def test_a_delivery_that_waits_again_is_not_under_way(store: Store, clock: ManualClock) -> None:
    await publish(store, LANE)
    (claimed,) = (await ask(store, LanePolicy(1))).claims
    await store.queue.finish([result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=after(5))])
    assert (await ask(store, LanePolicy(1))).next_due == {LANE: after(5)}
    clock.advance(5)
    assert len((await ask(store, LanePolicy(1))).claims) == 1


# -- the rate ---------------------------------------------------------------------------------------------------------


async def test_starts_are_spaced_by_the_rate_and_the_claim_says_when_the_next_may_be(
    store: Store, clock: ManualClock
) -> None:
    await backlog(store, 30)
    started = 0
    while clock.now() < after(10):
        claimed = await ask(store, LanePolicy(per_second=2.0))
        started += len(claimed.claims)
        assert claimed.barred == HERE
        clock.advance((claimed.next_due[LANE] - clock.now()).total_seconds())
    assert started == 21


async def test_nothing_starts_before_the_instant_that_was_told(store: Store, clock: ManualClock) -> None:
    await backlog(store, 3)
    told = (await ask(store, LanePolicy(per_second=3.0))).next_due[LANE]
    clock.advance((told - START).total_seconds() - 0.001)
    assert (await ask(store, LanePolicy(per_second=3.0))).claims == ()
    clock.advance(0.001)
    assert len((await ask(store, LanePolicy(per_second=3.0))).claims) == 1


async def test_asking_in_vain_spends_nothing_of_the_rate(store: Store) -> None:
    for _ in range(5):
        assert (await ask(store, LanePolicy(per_second=1.0))).claims == ()
    await backlog(store, 2)
    assert len((await ask(store, LanePolicy(per_second=1.0))).claims) == 1


async def test_a_burst_catches_up_with_no_more_than_a_tenth_of_a_second(store: Store, clock: ManualClock) -> None:
    await backlog(store, 40)
    clock.advance(3_600)
    assert len((await ask(store, LanePolicy(per_second=100.0))).claims) == 11


# -- pauses -----------------------------------------------------------------------------------------------------------


async def test_a_pause_that_the_target_asked_for_holds_the_lane(store: Store, clock: ManualClock) -> None:
    await backlog(store, 3)
    (claimed,) = (await ask(store, limit=1)).claims
    await store.queue.finish([ended(claimed, HealthMark.GOOD, after(30))])
    held = await ask(store)
    assert (held.claims, held.next_due, held.barred) == ((), {LANE: after(30)}, HERE)
    clock.advance(30)
    assert len((await ask(store)).claims) == 2


async def test_a_delivery_that_is_due_after_the_pause_is_waited_for(store: Store) -> None:
    await publish(store, LANE)
    await publish(store, LANE, deliver_at=after(90))
    (claimed,) = (await ask(store)).claims
    await store.queue.finish([ended(claimed, HealthMark.GOOD, after(30))])
    told = await ask(store)
    assert (told.next_due, told.barred) == ({LANE: after(90)}, NONE)


# -- the breaker ------------------------------------------------------------------------------------------------------


async def test_many_failures_in_a_row_let_the_lane_rest_and_then_one_delivery_is_tried(
    store: Store, clock: ManualClock
) -> None:
    await break_down(store)
    opened = await ask(store)
    assert (opened.claims, opened.breaker_open, opened.barred) == ((), HERE, HERE)
    rest = (opened.next_due[LANE] - START).total_seconds()
    assert FIRST_OPEN_SECONDS * (1 - OPEN_SPREAD) <= rest <= FIRST_OPEN_SECONDS * (1 + OPEN_SPREAD) + 0.001
    health = (await store.queue.health([LANE]))[LANE]
    assert health == LaneHealth(THRESHOLD, BreakerState.OPEN, opened.next_due[LANE])
    clock.advance(rest)
    tried = await ask(store)
    assert (len(tried.claims), tried.full, tried.breaker_open) == (1, HERE, NONE)
    assert (await ask(store)).claims == ()
    assert (await store.queue.health([LANE]))[LANE].breaker is BreakerState.HALF_OPEN


async def test_after_a_success_twice_as_many_may_be_under_way_with_each(store: Store, clock: ManualClock) -> None:
    await break_down(store)
    clock.advance(10)
    given = []
    for _ in range(3):
        claimed = (await ask(store, LanePolicy(8))).claims
        given.append(len(claimed))
        await end(store, claimed[:1], HealthMark.GOOD)
        await end(store, claimed[1:])
    assert given == [1, 2, 4]
    assert await store.queue.health([LANE]) == {}
    assert len((await ask(store, LanePolicy(8))).claims) == 8


async def test_a_failed_try_lets_the_lane_rest_for_longer(store: Store, clock: ManualClock) -> None:
    await break_down(store)
    clock.advance(10)
    await end(store, (await ask(store)).claims, HealthMark.BAD)
    rest = ((await ask(store)).next_due[LANE] - clock.now()).total_seconds()
    assert FIRST_OPEN_SECONDS * 2 * (1 - OPEN_SPREAD) <= rest <= FIRST_OPEN_SECONDS * 2 * (1 + OPEN_SPREAD) + 0.001


async def test_a_try_that_says_nothing_is_made_again(store: Store, clock: ManualClock) -> None:
    await break_down(store)
    clock.advance(10)
    await end(store, (await ask(store)).claims, HealthMark.NONE)
    again = await ask(store)
    assert (len(again.claims), again.full) == (1, HERE)


async def test_one_success_among_failures_keeps_the_lane_going(store: Store) -> None:
    await backlog(store, THRESHOLD * 2)
    claims = (await ask(store)).claims
    await end(store, claims[: THRESHOLD - 1], HealthMark.BAD)
    assert (await store.queue.health([LANE]))[LANE] == LaneHealth(THRESHOLD - 1)
    await end(store, claims[THRESHOLD - 1 : THRESHOLD], HealthMark.GOOD)
    assert await store.queue.health([LANE]) == {}
    await end(store, claims[THRESHOLD : THRESHOLD * 2 - 1], HealthMark.BAD)
    assert (await store.queue.health([LANE]))[LANE] == LaneHealth(THRESHOLD - 1)


async def test_failures_that_are_reported_together_count_in_their_order(store: Store) -> None:
    await backlog(store, THRESHOLD + 1)
    claims = (await ask(store)).claims
    marks = [HealthMark.GOOD, *[HealthMark.BAD] * THRESHOLD]
    await store.queue.finish([ended(one, mark) for one, mark in zip(claims, marks, strict=True)])
    assert (await store.queue.health([LANE]))[LANE].breaker is BreakerState.OPEN


@pytest.mark.parametrize("mark", [HealthMark.BAD, HealthMark.GOOD])
async def test_what_is_not_written_says_nothing_of_the_target(
    store: Store, clock: ManualClock, mark: HealthMark
) -> None:
    await backlog(store, 3)
    lost, failing = (await ask(store, limit=2)).claims
    await end(store, [failing], HealthMark.BAD)
    clock.advance(31)
    await store.queue.reclaim(10)
    assert await store.queue.finish([ended(lost, mark, after(600))]) == [WriteOutcome.FENCED]
    assert (await store.queue.health([LANE]))[LANE] == LaneHealth(1)
    assert len((await ask(store)).claims) == 1


async def test_health_is_told_of_the_lanes_that_are_asked_about(store: Store) -> None:
    await publish(store, "sub_1", "sub_2")
    await end(store, await claim(store, "sub_1", "sub_2"), HealthMark.BAD)
    assert await store.queue.health([]) == {}
    assert await store.queue.health(["sub_2", "sub_9"]) == {"sub_2": LaneHealth(1)}


# -- revisions --------------------------------------------------------------------------------------------------------


async def test_a_newer_revision_forgets_rest_pause_and_rate_and_keeps_what_is_under_way(
    store: Store, clock: ManualClock
) -> None:
    await backlog(store, THRESHOLD * 3)
    policy = LanePolicy(THRESHOLD + 2, 1_000.0, revision=4)
    claims = (await ask(store, policy, limit=THRESHOLD + 1)).claims
    await store.queue.finish([ended(one, HealthMark.BAD, after(600)) for one in claims[:THRESHOLD]])
    assert (await ask(store, policy)).claims == ()
    fresh = await ask(store, dataclasses.replace(policy, revision=5))
    assert (len(fresh.claims), fresh.full) == (THRESHOLD + 1, HERE)
    assert await store.queue.health([LANE]) == {}


async def test_a_process_that_has_not_heard_of_a_change_does_not_undo_it(store: Store) -> None:
    await backlog(store, THRESHOLD * 3)
    claims = (await ask(store, LanePolicy(THRESHOLD, revision=5), limit=THRESHOLD)).claims
    await end(store, claims, HealthMark.BAD)
    assert (await ask(store, LanePolicy(1_000, revision=4))).breaker_open == HERE
    assert (await store.queue.health([LANE]))[LANE].failures == THRESHOLD


# -- leases -----------------------------------------------------------------------------------------------------------


async def test_a_lease_that_is_renewed_lasts_from_then_on(store: Store, clock: ManualClock) -> None:
    await backlog(store, 2)
    kept, left = await claim(store, lease=10.0)
    clock.advance(9)
    await store.queue.renew([kept], 10.0)
    clock.advance(9.999)
    assert [one.delivery.id for one in await store.queue.reclaim(10)] == [left.delivery.id]
    clock.advance(0.001)
    (taken,) = await store.queue.reclaim(10)
    assert taken.delivery.id == kept.delivery.id


async def test_what_was_taken_over_or_ended_is_not_renewed(store: Store, clock: ManualClock) -> None:
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
