"""Waiting, claiming, finishing: leases and fencing tokens."""

import asyncio
import dataclasses
from datetime import timedelta

from hub.models import Cause, Outcome, Status
from hub.stores.base import Claim, ClaimRequest, DeliveryQuery, Page, Store, WriteOutcome
from tests.clock import START, ManualClock
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import OTHER, TENANT, claim, publish, result

LANE = "sub_1"


async def retry_later(store: Store, claims: tuple[Claim, ...], seconds: float) -> None:
    at = START + timedelta(seconds=seconds)
    results = [result(one, Status.PENDING, Outcome.FAILED, next_attempt_at=at) for one in claims]
    assert set(await store.queue.finish(results)) <= {WriteOutcome.RECORDED}


async def test_due_names_for_every_lane_when_its_first_delivery_is_due(store: Store) -> None:
    assert await store.queue.due() == {}
    await publish(store, "sub_1", "sub_2", deliver_at=START + timedelta(hours=2))
    await publish(store, "sub_2", tenant=OTHER, deliver_at=START + timedelta(hours=1))
    assert await store.queue.due() == {"sub_1": START + timedelta(hours=2), "sub_2": START + timedelta(hours=1)}


async def test_due_counts_a_retry_that_is_earlier_than_every_first_attempt(store: Store) -> None:
    await publish(store, LANE)
    await retry_later(store, await claim(store), 60)
    await publish(store, LANE, deliver_at=START + timedelta(hours=1))
    assert await store.queue.due() == {LANE: START + timedelta(seconds=60)}


async def test_a_claim_leases_the_delivery_counts_the_attempt_and_brings_the_event(
    store: Store, clock: ManualClock
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
    store: Store, clock: ManualClock
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


async def test_a_claim_takes_no_more_than_each_lane_has_room_for_and_says_where_more_is_due(store: Store) -> None:
    for _ in range(5):
        await publish(store, "sub_1", "sub_2", "sub_3")
    claimed = await store.queue.claim(
        [ClaimRequest("sub_1", 2), ClaimRequest("sub_2", 9)], {"sub_1": 30.0, "sub_2": 30.0}
    )
    lanes = [one.delivery.subscription_id for one in claimed.claims]
    assert (lanes.count("sub_1"), lanes.count("sub_2"), len(lanes)) == (2, 5, 7)
    assert claimed.next_due == {"sub_1": START}


async def test_deliveries_of_a_lane_are_claimed_in_order_of_due_time(store: Store, clock: ManualClock) -> None:
    order = [await publish(store, LANE, deliver_at=START + timedelta(seconds=second)) for second in (3, 1, 2)]
    clock.advance(5)
    assert [one.event.id for one in await claim(store)] == [order[1].id, order[2].id, order[0].id]


async def test_deliveries_due_at_once_are_claimed_in_the_order_of_acceptance(store: Store) -> None:
    order = [(await publish(store, LANE)).id for _ in range(10)]
    assert [one.event.id for one in await claim(store, limit=4) + await claim(store)] == order


async def test_first_attempts_go_before_retries_and_either_fills_what_the_other_leaves(
    store: Store, clock: ManualClock
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
    preferring = await store.queue.claim([ClaimRequest(LANE, 7, retries_first=True)], {LANE: 30.0})
    assert {one.event.id for one in preferring.claims[6:]} <= firsts
    assert not {one.event.id for one in preferring.claims[:6]} & firsts


async def test_a_replay_counts_as_a_first_attempt_and_says_why_it_is_made(store: Store, clock: ManualClock) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    await store.queue.finish([result(claimed, Status.DEAD, Outcome.FAILED, reason="attempts used up")])
    dead = await store.archive.delivery(TENANT, claimed.delivery.id)
    assert dead is not None
    replayed = dead.model_copy(update={"status": Status.PENDING, "reason": None, "next_attempt_at": START})
    again = dataclasses.replace(result(claimed, Status.PENDING), delivery=replayed, attempt=None, cause=Cause.REPLAY)
    assert await store.queue.finish([again]) == [WriteOutcome.RECORDED]
    await publish(store, LANE)
    await retry_later(store, (await claim(store, limit=2))[1:], 0)
    clock.advance(31)
    (stuck,) = await store.queue.reclaim(10)
    assert (stuck.cause, stuck.delivery.attempt_count) == (Cause.REPLAY, 2)
    await store.queue.finish([dataclasses.replace(result(stuck, Status.PENDING), cause=Cause.REPLAY)])
    assert [one.cause for one in await claim(store, limit=1)] == [Cause.REPLAY]


async def test_where_the_present_schedule_began_is_kept(store: Store) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    ended = result(claimed, Status.DEAD, Outcome.FAILED)
    based = dataclasses.replace(ended, delivery=ended.delivery.model_copy(update={"schedule_base": 1}))
    assert await store.queue.finish([based]) == [WriteOutcome.RECORDED]
    kept = await store.archive.delivery(TENANT, claimed.delivery.id)
    assert kept is not None
    assert kept.schedule_base == 1


async def test_parallel_claims_never_share_a_delivery(store: Store) -> None:
    published = {(await publish(store, LANE)).id for _ in range(60)}
    claimed = await asyncio.gather(*(claim(store, limit=3) for _ in range(50)))
    events = [one.event.id for claims in claimed for one in claims]
    assert len(events) == len(set(events)) == 60
    assert set(events) == published


async def test_finishing_writes_the_next_state_the_attempt_and_the_feed_entries(
    store: Store, clock: ManualClock
) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    failed = result(
        claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=START + timedelta(seconds=5), reason="HTTP 500"
    )
    assert await store.queue.finish([failed]) == [WriteOutcome.RECORDED]
    waiting = await store.archive.delivery(TENANT, claimed.delivery.id)
    assert waiting is not None
    assert (waiting.status, waiting.reason, waiting.attempt_count) == (Status.PENDING, "HTTP 500", 1)
    assert waiting.next_attempt_at == START + timedelta(seconds=5)
    assert waiting.token > claimed.delivery.token
    clock.advance(5)
    (second,) = await claim(store)
    assert second.delivery.attempt_count == 2
    assert second.delivery.token > waiting.token
    assert await store.queue.finish([result(second, Status.DELIVERED)]) == [WriteOutcome.RECORDED]
    assert await store.archive.attempts(TENANT, claimed.delivery.id) == [
        failed.attempt,
        result(second, Status.DELIVERED).attempt,
    ]
    kinds = [row.entry.kind.value for row in await store.feed.read(0, 10)]
    assert kinds == ["event.accepted", "delivery.attempted", "delivery.attempted"]
    assert await store.queue.due() == {}


async def test_a_result_with_an_old_token_changes_nothing(store: Store, clock: ManualClock) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    clock.advance(31)
    (taken,) = await store.queue.reclaim(10)
    entries = len(await store.feed.read(0, 10))
    assert await store.queue.finish([result(claimed, Status.DELIVERED)]) == [WriteOutcome.FENCED]
    assert await store.archive.delivery(TENANT, claimed.delivery.id) == taken.delivery
    assert await store.archive.attempts(TENANT, claimed.delivery.id) == []
    assert len(await store.feed.read(0, 10)) == entries
    assert await store.queue.finish([result(taken, Status.DELIVERED, Outcome.UNKNOWN)]) == [WriteOutcome.RECORDED]


async def test_of_two_results_for_one_claim_the_first_counts_even_in_one_call(store: Store) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    first, second = result(claimed, Status.DELIVERED), result(claimed, Status.DEAD, Outcome.FAILED)
    assert await store.queue.finish([first, second]) == [WriteOutcome.RECORDED, WriteOutcome.FENCED]
    delivery = await store.archive.delivery(TENANT, claimed.delivery.id)
    assert delivery is not None
    assert delivery.status is Status.DELIVERED


async def test_of_fifty_parallel_results_for_one_claim_one_counts(store: Store) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    written = await asyncio.gather(*(store.queue.finish([result(claimed, Status.DELIVERED)]) for _ in range(50)))
    assert [one for (one,) in written].count(WriteOutcome.RECORDED) == 1
    assert len(await store.feed.read(0, 100)) == 2


async def test_a_result_for_an_unknown_delivery_is_fenced_and_its_neighbours_count(store: Store) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    unknown = result(claimed, Status.DELIVERED, id="dlv_unknown")
    assert await store.queue.finish([unknown, result(claimed, Status.DELIVERED)]) == [
        WriteOutcome.FENCED,
        WriteOutcome.RECORDED,
    ]
    assert await store.queue.finish([]) == []


async def test_any_write_bumps_the_token(store: Store) -> None:
    await publish(store, LANE)
    (pending,) = (await store.archive.deliveries(TENANT, DeliveryQuery(), Page())).items
    (claimed,) = await claim(store)
    cancelling = dataclasses.replace(
        result(claimed, Status.CANCELLED),
        delivery=pending.model_copy(update={"status": Status.CANCELLED}),
        attempt=None,
    )
    assert await store.queue.finish([cancelling]) == [WriteOutcome.FENCED]


async def test_a_delivery_of_a_cancelled_event_may_end_but_not_wait(store: Store) -> None:
    new = await publish(store, "sub_1", "sub_2")
    waiting, ending = await claim(store, "sub_1", "sub_2")
    assert await store.intake.cancel(TENANT, new.id, START)
    again = result(waiting, Status.PENDING, Outcome.FAILED, next_attempt_at=START)
    assert await store.queue.finish([again, result(ending, Status.DELIVERED)]) == [
        WriteOutcome.EVENT_CANCELLED,
        WriteOutcome.RECORDED,
    ]
    assert await store.archive.attempts(TENANT, waiting.delivery.id) == []
    assert await store.queue.finish([result(waiting, Status.CANCELLED, Outcome.FAILED)]) == [WriteOutcome.RECORDED]


async def test_an_attempt_is_replaced_by_number(store: Store, clock: ManualClock) -> None:
    await publish(store, LANE)
    (claimed,) = await claim(store)
    unknown = result(claimed, Status.PENDING, Outcome.UNKNOWN, next_attempt_at=START, attempt_count=1)
    await store.queue.finish([unknown])
    (again,) = await claim(store)
    known = result(again, Status.DELIVERED, attempt_count=1)
    await store.queue.finish([known])
    assert await store.archive.attempts(TENANT, claimed.delivery.id) == [known.attempt]


async def test_a_lease_that_has_run_out_is_taken_over_once_for_a_minute(store: Store, clock: ManualClock) -> None:
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


async def test_after_a_restart_everyones_leases_can_be_taken_over_at_once(opened: OpenStore) -> None:
    store = await opened.open()
    for _ in range(3):
        await publish(store, LANE)
    claimed = await claim(store)
    store = await opened.reopen()
    assert await store.queue.reclaim(10) == []
    taken = await store.queue.reclaim(2, all_owners=True)
    assert len(taken) == 2
    assert await store.queue.finish([result(claimed[0], Status.DELIVERED)]) == [WriteOutcome.FENCED]


async def test_finishing_ends_the_lease(store: Store, clock: ManualClock) -> None:
    await publish(store, LANE)
    await store.queue.finish([result((await claim(store))[0], Status.DELIVERED)])
    clock.advance(3_600)
    assert await store.queue.reclaim(10) == []
    assert await store.queue.reclaim(10, all_owners=True) == []
