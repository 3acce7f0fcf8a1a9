"""Claiming and finishing over a network, and by several processes."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from hub.errors import Unavailable
from hub.models import Cause, Outcome, Status
from hub.stores.base import (
    SLOWEST_PER_SECOND,
    ClaimRequest,
    ClaimResult,
    DeliveryQuery,
    HealthMark,
    LanePolicy,
    Page,
    Result,
    Store,
    WriteOutcome,
)
from hub.stores.redis import queue
from hub.testing.clock import START, ManualClock
from hub.testing.patience import patience
from hub.testing.stores.samples import SUBSCRIPTION, TENANT, claim, publish, result
from tests.faults.toxic_proxy import ToxicProxy
from tests.redis_servers import RedisServer

CLAIM, FINISH = queue._CLAIM.digest.encode(), queue._FINISH.digest.encode()


async def ask(store: Store, limit: int = 100, **policy: float) -> ClaimResult:
    want = ClaimRequest(SUBSCRIPTION, limit, policy=LanePolicy(**policy))  # type: ignore[arg-type] # by name
    return await store.queue.claim([want], {SUBSCRIPTION: 30.0})


async def knows_scripts(store: Store) -> None:
    """Let the server have seen the scripts, so that what is lost is the answer to the call itself."""
    await publish(store, "sub_0")
    (one,) = await claim(store, "sub_0")
    assert await store.queue.finish([result(one, Status.DELIVERED)]) == [WriteOutcome.RECORDED]


async def heard(store: Store) -> None:
    """Let a process have heard all that was told so far."""
    async with patience():
        await store.signals.next()


# -- answers that are lost -------------------------------------------------------------------------------------------


async def test_a_claim_whose_answer_was_lost_is_given_again(behind: Store, other: Store, proxy: ToxicProxy) -> None:
    await knows_scripts(behind)
    published = [await publish(behind, SUBSCRIPTION) for _ in range(5)]
    proxy.lose_answer(CLAIM)
    claimed = await ask(behind, 3)
    assert proxy.lost.is_set()
    assert [one.event for one in claimed.claims] == published[:3]
    assert {one.delivery.attempt_count for one in claimed.claims} == {1}
    assert claimed.next_due == {SUBSCRIPTION: START}
    assert [one.event for one in await claim(other)] == published[3:]


async def test_a_claim_whose_answer_was_lost_for_good_comes_with_the_next(
    behind: Store, other: Store, proxy: ToxicProxy
) -> None:
    await knows_scripts(behind)
    published = [await publish(behind, SUBSCRIPTION) for _ in range(3)]
    proxy.lose_answer(CLAIM)
    asking = asyncio.create_task(ask(behind, 2))
    await proxy.lost.wait()
    proxy.cut()
    with pytest.raises(Unavailable):
        await asking
    assert [one.event for one in await claim(other)] == published[2:]
    proxy.heal()
    (again, and_again) = (await behind.queue.claim([], {})).claims
    assert [again.event, and_again.event] == published[:2]
    assert await behind.queue.finish([result(again, Status.DELIVERED)]) == [WriteOutcome.RECORDED]
    assert (await behind.queue.claim([], {})).claims == ()


async def test_what_was_taken_over_meanwhile_does_not_come_again(
    behind: Store, other: Store, proxy: ToxicProxy, clock: ManualClock
) -> None:
    await knows_scripts(behind)
    await publish(behind, SUBSCRIPTION)
    proxy.lose_answer(CLAIM)
    asking = asyncio.create_task(ask(behind))
    await proxy.lost.wait()
    proxy.cut()
    with pytest.raises(Unavailable):
        await asking
    clock.advance(31)
    assert len(await other.queue.reclaim(10)) == 1
    proxy.heal()
    assert (await ask(behind)).claims == ()


async def test_a_result_whose_answer_was_lost_is_recorded_once(behind: Store, other: Store, proxy: ToxicProxy) -> None:
    await knows_scripts(behind)
    await publish(behind, SUBSCRIPTION)
    (one,) = await claim(behind)
    proxy.lose_answer(FINISH)
    assert await behind.queue.finish([result(one, Status.DELIVERED)]) == [WriteOutcome.RECORDED]
    assert proxy.lost.is_set()
    assert len(await other.archive.attempts(TENANT, one.delivery.id)) == 1
    assert await behind.queue.finish([result(one, Status.DELIVERED)]) == [WriteOutcome.FENCED]
    assert (await other.feed.bounds())[1] == 4


async def test_a_result_whose_answer_was_lost_for_good_is_known_as_recorded_when_it_comes_again(
    behind: Store, other: Store, proxy: ToxicProxy
) -> None:
    await knows_scripts(behind)
    for _ in range(2):
        await publish(behind, SUBSCRIPTION)
    one, two = await claim(behind)
    proxy.lose_answer(FINISH)
    finishing = asyncio.create_task(behind.queue.finish([result(one, Status.DELIVERED)]))
    await proxy.lost.wait()
    proxy.cut()
    with pytest.raises(Unavailable):
        await finishing
    proxy.heal()
    both = [result(two, Status.DELIVERED), result(one, Status.DELIVERED)]
    assert await behind.queue.finish(both) == [WriteOutcome.RECORDED, WriteOutcome.RECORDED]
    assert await behind.queue.finish(both) == [WriteOutcome.FENCED, WriteOutcome.FENCED]
    assert (await other.feed.bounds())[1] == 6


async def test_results_that_come_together_go_together(behind: Store) -> None:
    await knows_scripts(behind)
    await asyncio.gather(*(publish(behind, SUBSCRIPTION) for _ in range(200)))
    claims = await claim(behind, limit=200)
    engine = behind.queue._engine  # type: ignore[attr-defined] # internals
    before = engine.round_trips
    written = await asyncio.gather(*(behind.queue.finish([result(one, Status.DELIVERED)]) for one in claims))
    assert written == [[WriteOutcome.RECORDED]] * 200
    assert engine.round_trips - before <= 2


# -- several processes -------------------------------------------------------------------------------------------------


async def test_a_cap_holds_over_all_processes_and_who_was_told_of_it_hears_when_there_is_room(
    behind: Store, other: Store
) -> None:
    for _ in range(6):
        await publish(behind, SUBSCRIPTION)
    mine, theirs = await ask(behind, 2, max_in_flight=3), await ask(other, 2, max_in_flight=3)
    assert (len(mine.claims), len(theirs.claims), set(theirs.full)) == (2, 1, {SUBSCRIPTION})
    await heard(other)
    await behind.queue.finish([result(mine.claims[0], Status.DELIVERED)])
    async with patience():
        assert (await other.signals.next()).due == {SUBSCRIPTION: None}
    assert len((await ask(other, 2, max_in_flight=3)).claims) == 1


async def test_a_rate_holds_over_all_processes(behind: Store, other: Store, clock: ManualClock) -> None:
    for _ in range(10):
        await publish(behind, SUBSCRIPTION)
    clock.advance(10)
    started = 0
    for _ in range(20):
        for store in (behind, other):
            started += len((await ask(store, 5, per_second=2.0)).claims)
        clock.advance(0.1)
    assert started == 5


async def test_failures_seen_by_any_process_open_the_breaker_for_all_and_one_of_them_tries_first(
    behind: Store, other: Store, clock: ManualClock
) -> None:
    for _ in range(30):
        await publish(behind, SUBSCRIPTION)
    for store in (behind, other):
        claims = (await ask(store, 5)).claims
        bad = [
            dataclasses.replace(result(one, Status.DEAD, Outcome.FAILED), health_mark=HealthMark.BAD) for one in claims
        ]
        await store.queue.finish(bad)
    for store in (behind, other):
        asked = await ask(store)
        assert (asked.claims, set(asked.breaker_open)) == ((), {SUBSCRIPTION})
    clock.advance(3)
    tried = [await ask(store) for store in (behind, other)]
    assert [len(asked.claims) for asked in tried] == [1, 0]
    assert tried[1].full == {SUBSCRIPTION}


async def test_work_that_a_process_left_is_taken_over_by_another(
    behind: Store, other: Store, clock: ManualClock
) -> None:
    await publish(behind, SUBSCRIPTION)
    (lost,) = await claim(behind)
    clock.advance(29)
    await behind.queue.renew([lost], 30)
    clock.advance(29)
    assert await other.queue.reclaim(10) == []
    clock.advance(1)
    (taken,) = await other.queue.reclaim(10)
    await behind.queue.renew([lost], 600)
    assert await behind.queue.finish([result(lost, Status.DELIVERED)]) == [WriteOutcome.FENCED]
    clock.advance(60)
    (again,) = await behind.queue.reclaim(10)
    assert again.delivery.token > taken.delivery.token


async def test_sweeps_of_many_processes_share_what_was_left(behind: Store, other: Store, clock: ManualClock) -> None:
    for _ in range(40):
        await publish(behind, SUBSCRIPTION)
    await claim(behind)
    clock.advance(31)
    taken = await asyncio.gather(*(store.queue.reclaim(9) for store in (behind, other) * 5))
    ids = [one.delivery.id for part in taken for one in part]
    assert len(ids) == len(set(ids)) == 40


async def test_a_retry_written_by_one_process_is_told_to_the_others(behind: Store, other: Store) -> None:
    await publish(behind, SUBSCRIPTION)
    (one,) = await claim(behind)
    later = START + timedelta(seconds=5)
    await heard(other)
    await behind.queue.finish([result(one, Status.PENDING, Outcome.FAILED, next_attempt_at=later)])
    async with patience():
        assert (await other.signals.next()).due == {SUBSCRIPTION: later}


# -- what the server holds -------------------------------------------------------------------------------------------


async def test_when_all_is_done_nothing_of_the_lanes_is_left(
    behind: Store, valkey: RedisServer, prefix: str, clock: ManualClock
) -> None:
    for _ in range(20):
        await publish(behind, "sub_1", "sub_2")
    while claims := await claim(behind, "sub_1", "sub_2", limit=7):
        ends = [Status.DELIVERED if one.delivery.attempt_count > 1 else Status.PENDING for one in claims]
        await behind.queue.finish(
            [result(one, end, next_attempt_at=START) for one, end in zip(claims, ends, strict=True)]
        )
        clock.advance(1)
    kept = {key.partition(":")[2].partition(":")[0] for key in valkey.kept(prefix)}
    assert not kept & {"ready", "delayed", "due", "leases", "gate"}


async def test_a_damaged_event_is_claimed_with_what_is_wrong_with_it(
    behind: Store, valkey: RedisServer, prefix: str
) -> None:
    flipped, gone, whole = [await publish(behind, SUBSCRIPTION) for _ in range(3)]
    valkey.ask("SETRANGE", f"{{{prefix}}}:e:{flipped.id}", 60, b"\x00")
    valkey.ask("DEL", f"{{{prefix}}}:e:{gone.id}")
    claims = await claim(behind)
    assert [one.event.id for one in claims] == [flipped.id, gone.id, whole.id]
    assert [bool(one.damage) for one in claims] == [True, True, False]
    assert [one.event.data for one in claims[:2]] == [b"null"] * 2
    ended = [result(one, Status.DEAD, Outcome.FAILED, reason=one.damage) for one in claims[:2]]
    assert await behind.queue.finish(ended) == [WriteOutcome.RECORDED] * 2


# -- what an earlier release kept ------------------------------------------------------------------------------------


async def test_a_rate_that_was_taken_once_and_what_it_has_used_up_bar_a_lane_for_about_a_day(
    store: Store, valkey: RedisServer, prefix: str
) -> None:
    for _ in range(2):
        await publish(store, SUBSCRIPTION)
    kept = {"cap": 10, "rate": 1e-13, "revision": 0, "failures": 0, "rests": 0, "spent_until": 1e13}
    kept |= {"touched_at": START.timestamp()}
    for name, value in kept.items():
        valkey.ask("HSET", f"{{{prefix}}}:gate:{SUBSCRIPTION}", name, value)
    claimed = await ask(store, per_second=SLOWEST_PER_SECOND)
    assert START < claimed.next_due[SUBSCRIPTION] < START + timedelta(seconds=1.1 / SLOWEST_PER_SECOND)


def test_an_instant_that_is_too_far_off_to_be_named_is_one_in_a_year() -> None:
    far = datetime(9999, 12, 31, tzinfo=UTC) - timedelta(days=400)
    assert queue._in(10**15, far) == far + timedelta(days=366)
    assert queue._in(5_000, START) == START + timedelta(seconds=5)


async def test_replays_that_stand_among_first_attempts_are_claimed_and_cancelled(
    store: Store, valkey: RedisServer, prefix: str, clock: ManualClock
) -> None:
    now = await publish(store, SUBSCRIPTION)
    await publish(store, SUBSCRIPTION, deliver_at=START + timedelta(seconds=60))
    found = (await store.archive.deliveries(TENANT, DeliveryQuery(), Page(10))).items
    for delivery in found:
        valkey.ask("HSET", f"{{{prefix}}}:d:{delivery.id}", "by", "replay", "n", 1)
    (claimed,) = (await ask(store)).claims
    assert (claimed.event.id, claimed.cause, claimed.delivery.attempt_count) == (now.id, Cause.REPLAY, 2)
    (later,) = (one for one in found if one.event_id != now.id)
    ended = later.model_copy(update={"status": Status.CANCELLED, "next_attempt_at": None, "attempt_count": 1})
    assert await store.queue.finish([Result(ended)]) == [WriteOutcome.RECORDED]
    assert await store.queue.due() == {}
    clock.advance(60)
    assert (await ask(store)).claims == ()
