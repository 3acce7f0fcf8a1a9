"""Drills F11 to F13, among several workers and schedulers: one freezes, one dies with its hands full, one dies with a
right that only one may have."""

import asyncio
import re
import signal

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import LEASE_SECONDS, Drill
from tests.faults.hub_process import ROOT
from tests.faults.patience import until

TAKEOVER_SECONDS = 20.0
"""Longer than the time between two runs of a schedule, and than a right lasts."""


async def claimed_by_one_of_two(drill: Drill, count: int) -> None:
    """Publish to a target that hangs, so that one worker holds all of it; then start another worker beside it."""
    await drill.hub.start()
    await drill.subscribe("hang", max_in_flight=count, timeout=20)
    await drill.receiver.behave("hang", status=0)
    await drill.publisher.publish_many(count, clients=10)
    await drill.receiver.arrived(count)
    await drill.hub.add("worker").start()


async def test_f11_what_a_frozen_worker_held_is_done_by_another_and_its_late_results_change_nothing(
    drill: Drill,
) -> None:
    """Red when results are written without a look at the fencing token."""
    await drill.hub.start()
    await drill.subscribe("slow", max_in_flight=10)
    await drill.receiver.behave("slow", held=True)
    await drill.publisher.publish_many(10, clients=10)
    await drill.receiver.arrived(10)
    frozen = drill.hub.worker
    frozen.signal(signal.SIGSTOP)
    await drill.hub.add("worker").start()
    await drill.receiver.behave("slow")
    # All of it is sent once more, while answers wait for the one that sleeps.
    await drill.receiver.arrived(20)
    await drill.drained(PATIENCE_SECONDS)
    before = [await drill.delivery(acked.event_id, "slow") for acked in drill.publisher.acked]
    frozen.signal(signal.SIGCONT)
    verdict = await drill.verdict("F11")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (10, 10)
    await asyncio.sleep(1)
    after = [await drill.delivery(acked.event_id, "slow") for acked in drill.publisher.acked]
    assert [delivery["attempts"] for delivery in after] == [delivery["attempts"] for delivery in before]
    assert {tuple(attempt["outcome"] for attempt in delivery["attempts"]) for delivery in after} == {
        ("unknown", "succeeded")
    }


async def test_f12_what_a_dead_worker_had_claimed_is_done_by_another_with_the_count_right(drill: Drill) -> None:
    """Red when leases have no end, or what is taken over is not counted."""
    await claimed_by_one_of_two(drill, 100)
    await drill.hub.worker.kill()
    await drill.receiver.behave("hang")
    verdict = await drill.verdict("F12", drain_within=PATIENCE_SECONDS + drill.takeover_seconds)
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dead) == (100, 0)
    delivery = await drill.delivery(drill.publisher.acked[0].event_id, "hang")
    assert [attempt["number"] for attempt in delivery["attempts"]] == [1, 2]
    assert [attempt["outcome"] for attempt in delivery["attempts"]] == ["unknown", "succeeded"]


async def test_f12_a_lease_is_renewed_for_as_long_as_its_attempt_takes(drill: Drill) -> None:
    """Red without heartbeats: another worker would send again what takes longer than a lease."""
    await drill.hub.start()
    await drill.hub.add("worker").start()
    await drill.subscribe("slow")
    await drill.receiver.behave("slow", delay=3 * LEASE_SECONDS)
    await drill.publisher.publish_many(4)
    verdict = await drill.verdict("F12-renewed", drain_within=PATIENCE_SECONDS)
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (4, 0)


async def last_fired(drill: Drill) -> str | None:
    """When the schedule ran last that comes due most often among those that only one may fire."""
    async with drill.hub.client() as api:
        items = (await api.get("/v1/schedules")).raise_for_status().json()["items"]
    last: str | None = next(item for item in items if item["name"] == "abandoned-tasks").get("last_run_at")
    return last


@pytest.mark.drill
@pytest.mark.timeout(120)
async def test_f13_the_right_to_fire_schedules_ends_with_the_one_who_had_it(drill: Drill) -> None:
    """Red when the right has no end: after a death nobody would fire again."""
    await drill.hub.start()
    first = drill.hub.having("scheduler")[0]
    await drill.hub.add("scheduler").start()

    async def has_fired() -> bool:
        return await last_fired(drill) is not None

    await until(has_fired, TAKEOVER_SECONDS)
    await first.kill()
    before = await last_fired(drill)

    async def fired_again() -> bool:
        return await last_fired(drill) != before

    await until(fired_again, TAKEOVER_SECONDS)


def test_f13_no_lock_is_without_a_limit_of_time() -> None:
    """Red with `SET … NX` alone, or `SETNX`."""
    folder = ROOT / "hub" / "stores" / "redis"
    sources = {path.name: path.read_text() for path in folder.rglob("*") if path.suffix in (".lua", ".py")}
    assert sources
    for name, source in sources.items():
        assert not re.search(r"\bsetnx\b", source, re.IGNORECASE), name
        for call in re.findall(r"[\"']SET[\"'](?:(?!call\(|\n\n).)*", source, re.IGNORECASE | re.DOTALL):
            assert not re.search(r"[\"']NX[\"']", call) or re.search(r"[\"'](PX|EX|PXAT|EXAT)[\"']", call), name
