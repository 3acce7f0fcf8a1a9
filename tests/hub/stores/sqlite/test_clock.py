"""A time of day that is set moves nothing that waits in the file, except what people appointed by it."""

from datetime import timedelta

import pytest

from hub.models import Outcome, Status
from hub.stores import open_store
from hub.stores.base import ClockMark, Store
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import SUBSCRIPTION, TENANT, batch, claim, entry, event, idempotency, publish, result

HOUR = 3_600
SET = [pytest.param(-HOUR, id="ahead"), pytest.param(HOUR, id="back")]
"""By how many seconds the time of day is set back."""


async def mark(store: Store, clock: ManualClock) -> None:
    wall = int(clock.now().timestamp() * 1000)
    await store.clock.keep(ClockMark(clock.boot, clock.uptime(), wall, await store.clock.now()))


@pytest.mark.parametrize("seconds", SET)
async def test_what_is_due_is_due_and_what_waits_goes_on_waiting(
    store: Store, clock: ManualClock, seconds: float
) -> None:
    await publish(store, SUBSCRIPTION)
    clock.set_back(seconds)
    assert (await store.queue.due())[SUBSCRIPTION] == clock.now()
    (claimed,) = await claim(store)
    at = claimed.claimed_at
    assert at == clock.now()
    later = at + timedelta(seconds=60)
    await store.queue.finish([result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=later)])
    clock.set_back(-2 * seconds)
    clock.advance(59)
    shown = await store.archive.delivery(TENANT, claimed.delivery.id)
    assert shown is not None
    assert shown.next_attempt_at == (await store.queue.due())[SUBSCRIPTION] == clock.now() + timedelta(seconds=1)
    assert await claim(store) == ()
    clock.advance(1)
    assert len(await claim(store)) == 1


@pytest.mark.parametrize("seconds", SET)
async def test_leases_keys_and_tickets_last_as_long_as_they_were_given(
    store: Store, clock: ManualClock, seconds: float
) -> None:
    await publish(store, SUBSCRIPTION)
    await claim(store, lease=30.0)
    await store.intake.accept(batch(entry(event()), idempotency=idempotency(seconds=30.0)))
    await store.tickets.put("digest", b"{}", 30.0)
    clock.set_back(seconds)
    clock.advance(29)
    assert await store.queue.reclaim(10) == []
    assert await store.intake.recall(TENANT, idempotency()) is not None
    assert await store.tickets.find("digest") is not None
    clock.advance(1)
    assert len(await store.queue.reclaim(10)) == 1
    assert await store.intake.recall(TENANT, idempotency()) is None
    assert await store.tickets.find("digest") is None


async def test_what_a_publisher_appointed_is_sent_at_that_time_of_day(store: Store, clock: ManualClock) -> None:
    at = START + timedelta(seconds=2 * HOUR)
    await publish(store, SUBSCRIPTION, deliver_at=at)
    clock.set_back(HOUR)
    clock.advance(2 * HOUR)
    assert await claim(store) == ()
    assert (await store.queue.due())[SUBSCRIPTION] == at
    clock.set_back(-HOUR)
    assert len(await claim(store)) == 1


async def test_what_is_appointed_for_later_hides_nothing_that_is_due(store: Store, clock: ManualClock) -> None:
    await publish(store, SUBSCRIPTION, deliver_at=START + timedelta(seconds=HOUR))
    clock.set_back(-HOUR / 2)
    now = await publish(store, SUBSCRIPTION)
    assert [one.event for one in await claim(store)] == [now]


@pytest.mark.parametrize("seconds", SET)
async def test_over_a_restart_what_waits_is_found_as_it_was(url: str, clock: ManualClock, seconds: float) -> None:
    async with open_store(url, clock) as store:
        await mark(store, clock)
        await publish(store, SUBSCRIPTION)
        (claimed,) = await claim(store)
        later = claimed.claimed_at + timedelta(seconds=60)
        await store.queue.finish([result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=later)])
        await publish(store, "sub_2")
    clock.set_back(seconds)
    clock.advance(59)
    async with open_store(url, clock) as store:
        assert len(await claim(store, SUBSCRIPTION, "sub_2")) == 1
        clock.advance(1)
        assert len(await claim(store)) == 1


async def test_after_a_boot_with_a_clock_that_is_behind_what_was_due_is_due(url: str, clock: ManualClock) -> None:
    async with open_store(url, clock) as store:
        await mark(store, clock)
        await publish(store, SUBSCRIPTION)
    behind = ManualClock(START - timedelta(days=365 * 20))
    async with open_store(url, behind) as store:
        assert len(await claim(store)) == 1
