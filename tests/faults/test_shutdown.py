"""Drills F09, F10 and F46: SIGTERM with work and listeners under way, and listeners that outlive the process."""

import asyncio

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import Drill, record
from tests.faults.hub_process import HubProcess
from tests.faults.listeners import listening
from tests.faults.oracle import Verdict
from tests.faults.patience import until


async def none_is_ready(drill: Drill) -> bool:
    return not any([await is_ready(process) for process in drill.hub.processes])


async def is_ready(process: HubProcess) -> bool:
    async with process.client() as api:
        try:
            return (await api.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False


async def test_f09_attempts_under_way_are_finished_and_no_new_ones_begin(drill: Drill) -> None:
    """Red when stopping cancels attempts at once, or goes on claiming."""
    # The time of grace is longer than the test waits, so that nothing here ends by it.
    drill.hub.settings["shutdown_grace"] = "600"
    await drill.hub.start()
    await drill.subscribe("slow", max_in_flight=20)
    await drill.receiver.behave("slow", held=True)
    await drill.publisher.publish_many(30, clients=10)
    await drill.receiver.arrived(20)
    stopping = asyncio.create_task(drill.hub.stop())
    await until(lambda: none_is_ready(drill), PATIENCE_SECONDS)
    await drill.receiver.behave("slow")
    await stopping
    assert len(drill.receiver.arrivals()) == 20
    await drill.hub.start()
    verdict = await drill.verdict("F09", drain_within=PATIENCE_SECONDS)
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (30, 0)


async def test_f09_attempts_that_outlast_the_grace_are_released_and_repeated(drill: Drill) -> None:
    """Red when stopping waits for ever, or leaves its leases behind."""
    drill.hub.settings["shutdown_grace"] = "1"
    await drill.hub.start()
    await drill.subscribe("hang", max_in_flight=20)
    await drill.receiver.behave("hang", status=0)
    await drill.publisher.publish_many(20, clients=10)
    await drill.receiver.arrived(20)
    await drill.hub.stop(PATIENCE_SECONDS)
    await drill.receiver.behave("hang")
    await drill.hub.start()
    verdict = await drill.verdict("F09-grace", drain_within=PATIENCE_SECONDS)
    assert verdict.passed, verdict
    assert verdict.delivered == 20
    delivery = await drill.delivery(drill.publisher.acked[0].event_id, "hang")
    assert delivery["attempts"][0]["error"] == "the hub was stopped before the target answered"


async def stop_with_listeners(drill: Drill, count: int) -> None:
    drill.hub.settings["shutdown_grace"] = "600"
    await drill.hub.start()
    await drill.publisher.publish_many(20)
    async with listening(drill.hub, count, last_event_id="earliest") as listeners:
        await asyncio.gather(*(listener.told(20) for listener in listeners))
        seconds = await drill.hub.stop()
        await asyncio.gather(*(listener.ended() for listener in listeners))
        verdict = Verdict("F10", drill.store, acked=20, drain_s=round(seconds, 3))
        if unwarned := sum(listener.retries < 2 for listener in listeners):
            verdict.complaints.append(f"{unwarned} listeners were not told when to come back")
        if len({listener.retry for listener in listeners}) < count / 4:
            verdict.complaints.append("listeners were told to come back at the same moment")
        await drill.hub.start()
        await drill.publisher.publish_many(20)
    async with listening(drill.hub, 5, last_event_id=listeners[0].cursor) as resumed:
        await asyncio.gather(*(listener.told(20) for listener in resumed))
    ids = [acked.event_id for acked in drill.publisher.acked]
    first_half = all(listener.accepted() == ids[:20] for listener in listeners)
    if not (first_half and all(listener.accepted() == ids[20:] for listener in resumed)):
        verdict.complaints.append("something was missed, or told twice")
    record(verdict)
    assert verdict.passed, verdict


async def test_f10_listeners_are_told_to_come_back_and_miss_nothing(drill: Drill) -> None:
    """Red when streams are broken off without `retry:`, or all are told the same moment."""
    await stop_with_listeners(drill, 100)


@pytest.mark.drill
@pytest.mark.timeout(180)
async def test_f10_a_thousand_listeners_are_told_to_come_back_and_miss_nothing(drill: Drill) -> None:
    """Red when streams are broken off without `retry:`, or all are told the same moment."""
    await stop_with_listeners(drill, 1_000)


async def test_f46_a_listener_resumes_over_a_crash_without_gap_or_repetition(drill: Drill) -> None:
    """Red when the feed is written after the event's commit, or cursors are kept in memory."""
    await drill.hub.start()
    await drill.subscribe("ok")
    done = asyncio.Event()
    publishing = asyncio.create_task(drill.publisher.publish_at(50, done))
    told: list[tuple[int, str]] = []
    cursor = "earliest"
    for life in ("first", "last"):
        async with listening(drill.hub, 1, last_event_id=cursor) as (listener,):
            await listener.told(10)
            if life == "last":
                done.set()
                await publishing
                await drill.drained(PATIENCE_SECONDS)
                before = sum(name == "delivery.delivered" for _, name in told)
                await listener.told_of("delivery.delivered", len(drill.publisher.acked) - before)
                await listener.quiet()
            else:
                await drill.hub.kill()
                await listener.ended()
                await drill.hub.start()
        told += listener.events
        cursor = listener.cursor
    async with listening(drill.hub, 1, last_event_id="earliest") as (witness,):
        await witness.told(len(told))
        await witness.quiet()
    assert told == witness.events
    assert [cursor for cursor, _ in told] == sorted({cursor for cursor, _ in told})
    accepted = [name for _, name in told if name == "event.accepted"]
    delivered = [name for _, name in told if name == "delivery.delivered"]
    assert len(accepted) == len(delivered) == len(drill.publisher.acked)
    verdict = await drill.verdict("F46")
    assert verdict.passed, verdict


async def test_f46_a_cursor_that_is_older_than_the_feed_is_told_of_the_gap(drill: Drill) -> None:
    """Red when reading simply begins with the oldest entry that is kept."""
    drill.hub.settings["feed_keep"] = "1000"
    await drill.hub.start()
    tick = {"type": "drill.tick", "data": {"n": 0}}
    async with drill.hub.client() as api:
        for _ in range(3):
            (await api.post("/v1/events", json=[tick] * 500)).raise_for_status()
        task = (await api.post("/v1/schedules/feed-trim/run")).raise_for_status().json()

        async def trimmed() -> bool:
            return bool((await api.get(f"/v1/tasks/{task['id']}")).json()["status"] == "completed")

        await until(trimmed, PATIENCE_SECONDS)
    oldest = await first_cursor(drill)
    async with listening(drill.hub, 1, last_event_id="1") as (listener,):
        await listener.told(1)
        cursor, name = listener.events[0]
        assert (cursor, name) == (oldest - 1, "gap")
        await listener.told(1 + 1_000)
        assert listener.events[1][0] == oldest


async def first_cursor(drill: Drill) -> int:
    """The cursor of the oldest entry that is kept."""
    async with listening(drill.hub, 1, last_event_id="earliest") as (listener,):
        await listener.told(1)
        return listener.events[0][0]
