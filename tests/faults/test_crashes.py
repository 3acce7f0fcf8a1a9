"""Drills F01 to F07, F11, F12 and F39: the process dies at the worst moments, exactly and at random."""

import asyncio
import random
import signal
from contextlib import suppress

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import LEASE_SECONDS, Drill
from tests.faults.hub_process import HubDied


async def publish_into_a_crash(drill: Drill, failpoints: str) -> None:
    """Start the hub with failpoints, publish one event into them, and start again what is dead then."""
    await drill.hub.start(failpoints=failpoints)
    await drill.subscribe("ok")
    publishing = asyncio.create_task(drill.publisher.publish())
    await drill.hub.one_died(PATIENCE_SECONDS)
    await drill.hub.start()
    await publishing


async def test_f01_what_was_accepted_before_a_crash_is_delivered_after_it(drill: Drill) -> None:
    """Red when only the acceptance of an event tells that there is work."""
    await publish_into_a_crash(drill, "before_claim:kill")
    verdict = await drill.verdict("F01", drain_within=PATIENCE_SECONDS + drill.takeover_seconds)
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (1, 0)


async def test_f02_a_crash_before_the_commit_promises_nothing_and_a_retry_publishes_once(drill: Drill) -> None:
    """Red when the answer is given before the commit."""
    await publish_into_a_crash(drill, "before_accept:kill")
    verdict = await drill.verdict("F02")
    assert verdict.passed, verdict
    assert [acked.tries > 1 for acked in drill.publisher.acked] == [True]
    assert (verdict.delivered, verdict.dup) == (1, 0)


async def test_f03_a_crash_after_the_commit_and_before_the_answer_is_healed_by_a_retry(drill: Drill) -> None:
    """Red when the idempotency record is not in the event's own commit."""
    await publish_into_a_crash(drill, "after_accept:kill")
    verdict = await drill.verdict("F03")
    assert verdict.passed, verdict
    assert [acked.tries > 1 for acked in drill.publisher.acked] == [True]
    async with drill.hub.client() as api:
        events = (await api.get("/v1/events")).json()["items"]
    assert [event["id"] for event in events] == [acked.event_id for acked in drill.publisher.acked]
    assert (verdict.delivered, verdict.dup) == (1, 0)


async def test_f04_a_crash_in_the_middle_of_deliveries_repeats_each_once_at_most(drill: Drill) -> None:
    """Red when starting up takes no leases back: deliveries would stay claimed by nobody."""
    await drill.hub.start()
    await drill.subscribe("slow", max_in_flight=5)
    await drill.receiver.behave("slow", delay=60)
    await drill.publisher.publish_many(8)
    await drill.receiver.arrived(5)
    await asyncio.sleep(0.5)
    await drill.hub.kill()
    await drill.receiver.behave("slow")
    await drill.hub.start()
    verdict = await drill.verdict("F04")
    assert verdict.passed, verdict
    assert verdict.delivered == 8
    assert verdict.dup == 5


async def test_f05_a_crash_after_the_2xx_delivers_twice_and_says_why(drill: Drill) -> None:
    """Red when an interrupted attempt is counted as delivered, or is not recorded as unknown."""
    await publish_into_a_crash(drill, "after_2xx:kill")
    verdict = await drill.verdict("F05")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (1, 1)
    (acked,) = drill.publisher.acked
    delivery = await drill.delivery(acked.event_id, "ok")
    assert [attempt["outcome"] for attempt in delivery["attempts"]] == ["unknown", "succeeded"]
    assert [attempt["number"] for attempt in delivery["attempts"]] == [1, 2]


async def test_f06_a_crash_while_a_retry_is_scheduled_does_not_lose_the_retry(drill: Drill) -> None:
    """Red when the result and the next attempt are two commits, or leases are not taken back."""
    await drill.receiver.behave("ok", status=500)
    crash = asyncio.create_task(publish_into_a_crash(drill, "before_finish:kill"))
    await drill.receiver.arrived(1)
    await drill.receiver.behave("ok")
    await crash
    verdict = await drill.verdict("F06")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (1, 0)


async def kill_at_random(drill: Drill, kills: int) -> None:
    await drill.hub.start()
    await drill.subscribe("steady")
    await drill.subscribe("slow")
    await drill.receiver.behave("slow", delay=0.05)
    done = asyncio.Event()
    publishing = asyncio.create_task(drill.publisher.publish_at(50, done))
    moments = random.Random(7)
    for _ in range(kills):
        await asyncio.sleep(moments.uniform(0.2, 2))
        await moments.choice(drill.hub.processes).kill()
        await drill.hub.start()
    done.set()
    await publishing


async def test_f07_kills_at_random_moments_lose_nothing(drill: Drill) -> None:
    """Red when the answer is given before the commit, or when leases are not taken back."""
    await kill_at_random(drill, 2)
    verdict = await drill.verdict("F07-fast")
    assert verdict.passed, verdict
    assert verdict.dup <= 2 * 2 * 10


@pytest.mark.drill
@pytest.mark.timeout(900)
async def test_f07_fifty_kills_at_random_moments_lose_nothing(drill: Drill) -> None:
    """Red when the answer is given before the commit, or when leases are not taken back."""
    await kill_at_random(drill, 50)
    verdict = await drill.verdict("F07", drain_within=120)
    assert verdict.passed, verdict
    assert verdict.acked > 1_250
    assert verdict.dup <= 50 * 2 * 10


async def test_f12_a_hundred_claimed_deliveries_of_a_dead_process_are_taken_back(drill: Drill) -> None:
    """Red when starting up takes no leases back, or gives a claim back without its attempt."""
    await drill.hub.start()
    await drill.subscribe("hang", max_in_flight=100)
    await drill.receiver.behave("hang", status=0)
    await drill.publisher.publish_many(100, clients=10)
    await drill.receiver.arrived(100)
    await drill.hub.kill()
    await drill.receiver.behave("hang")
    await drill.hub.start()
    verdict = await drill.verdict("F12", drain_within=PATIENCE_SECONDS + drill.takeover_seconds)
    assert verdict.passed, verdict
    delivery = await drill.delivery(drill.publisher.acked[0].event_id, "hang")
    assert [attempt["outcome"] for attempt in delivery["attempts"]] == ["unknown", "succeeded"]
    assert verdict.delivered == 100


async def test_f39_an_event_that_kills_the_process_each_time_ends_as_a_dead_letter(drill: Drill) -> None:
    """Red when an attempt is counted after it instead of before it: the event would kill the hub for ever."""
    await drill.hub.start(failpoints="after_2xx:kill")
    await drill.subscribe("poison", "drill.poison", retry_schedule=[0])
    await drill.subscribe("healthy", "drill.tick")
    await drill.receiver.behave("healthy", status=503)
    healthy = await drill.publisher.publish()
    publishing = asyncio.create_task(drill.publisher.publish("drill.poison"))
    await drill.hub.one_died(PATIENCE_SECONDS)
    with suppress(HubDied):
        await drill.hub.start(failpoints="after_2xx:kill")
    await drill.hub.one_died(PATIENCE_SECONDS + drill.takeover_seconds)
    await drill.receiver.behave("healthy")
    await drill.hub.start()
    poison = await publishing
    verdict = await drill.verdict("F39")
    assert verdict.passed, verdict
    dead = await drill.delivery(poison.event_id, "poison")
    assert dead["status"] == "dead"
    assert [attempt["outcome"] for attempt in dead["attempts"]] == ["unknown"] * 2
    assert (await drill.delivery(healthy.event_id, "healthy"))["status"] == "delivered"


async def test_f11_a_process_that_was_frozen_past_its_leases_changes_nothing_it_may_not(drill: Drill) -> None:
    """Red when results are written without a look at the fencing token: attempts would be overwritten."""
    await drill.hub.start()
    await drill.subscribe("slow")
    await drill.receiver.behave("slow", held=True)
    await drill.publisher.publish_many(10, clients=10)
    await drill.receiver.arrived(5)
    drill.hub.worker.signal(signal.SIGSTOP)
    await drill.receiver.behave("slow")
    await asyncio.sleep(2 * LEASE_SECONDS)
    drill.hub.worker.signal(signal.SIGCONT)
    verdict = await drill.verdict("F11")
    assert verdict.passed, verdict
    assert verdict.delivered == 10
    assert verdict.dup <= 10
