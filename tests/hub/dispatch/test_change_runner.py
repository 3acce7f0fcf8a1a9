"""Changes to all deliveries of an event are made in steps, and gone on with when their process died."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest

from hub.dispatch import change_runner
from hub.dispatch.change_runner import ChangeRunner
from hub.errors import Conflict
from hub.models import Event, Status
from hub.stores.base import ChangeKind, DeliveryQuery, EventChange, Page, Signal, Store
from hub.telemetry.metrics import Metrics
from hub.testing.clock import START, ManualClock
from hub.testing.patience import patience
from hub.testing.stores.samples import TENANT, claim, publish, result

LANES = [f"sub_{number}" for number in range(7)]
MakeRunner = Callable[..., ChangeRunner]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_runner, "STEP", 2)


@pytest.fixture
def told() -> list[Signal]:
    return []


async def existing(subscription_ids: Iterable[str]) -> frozenset[str]:
    return frozenset(subscription_ids) - {"sub_gone"}


@pytest.fixture
def runner(store: Store, clock: ManualClock, told: list[Signal]) -> MakeRunner:
    """Makes the runner of a process of its own."""

    def make(*, alone: bool = True) -> ChangeRunner:
        ports = store.archive, store.queue, store.changes
        return ChangeRunner(*ports, clock, told.append, Metrics(), existing, alone=alone)

    return make


async def delivered(store: Store) -> Event:
    """An event that all lanes have been sent."""
    new = await publish(store, *LANES)
    await store.queue.finish([result(one, Status.DELIVERED) for one in await claim(store, *LANES)])
    return new


async def counts(store: Store, event: Event) -> dict[Status, int]:
    total: dict[Status, int] = {}
    for counted in (await store.archive.counts(TENANT, DeliveryQuery(event_id=event.id))).values():
        for status, number in counted.items():
            total[status] = total.get(status, 0) + number
    return total


async def second_page(store: Store, event: Event) -> str:
    page = await store.archive.deliveries(TENANT, DeliveryQuery(event_id=event.id), Page(change_runner.STEP))
    assert page.next_cursor is not None
    return page.next_cursor


async def test_a_replay_of_many_deliveries_is_made_in_steps_and_forgotten(
    store: Store, runner: MakeRunner, told: list[Signal]
) -> None:
    event = await delivered(store)
    replayed = await runner().replay(event, None)
    assert sorted(delivery.subscription_id for delivery in replayed) == LANES
    assert [len(signal.due) for signal in told] == [2, 2, 2, 1]
    assert await counts(store, event) == {Status.PENDING: 7}
    assert await store.changes.unfinished(10) == []


async def test_a_replay_is_for_the_subscriptions_that_were_named(store: Store, runner: MakeRunner) -> None:
    event = await delivered(store)
    replayed = await runner().replay(event, LANES[1:4])
    assert sorted(delivery.subscription_id for delivery in replayed) == LANES[1:4]
    assert await counts(store, event) == {Status.PENDING: 3, Status.DELIVERED: 4}


async def test_a_replay_passes_over_what_was_for_a_deleted_subscription(store: Store, runner: MakeRunner) -> None:
    lanes = [*LANES[:2], "sub_gone", *LANES[2:]]
    event = await publish(store, *lanes)
    await store.queue.finish([result(one, Status.DELIVERED) for one in await claim(store, *lanes)])
    assert {delivery.subscription_id for delivery in await runner().replay(event, None)} == {*LANES}
    assert await counts(store, event) == {Status.PENDING: 7, Status.DELIVERED: 1}


async def test_a_cancellation_whose_process_died_is_gone_on_with_at_the_next_start(
    store: Store, runner: MakeRunner
) -> None:
    event = await publish(store, *LANES)
    assert await store.intake.cancel(TENANT, event.id, START)
    running = asyncio.create_task(runner().run())
    async with patience():
        while await store.changes.unfinished(10):
            await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert await counts(store, event) == {Status.CANCELLED: 7}


async def test_a_replay_whose_process_died_goes_on_where_it_was(store: Store, runner: MakeRunner) -> None:
    event = await delivered(store)
    half = EventChange("chg_1", TENANT, event.id, ChangeKind.REPLAY, START, after=await second_page(store, event))
    await store.changes.save(half)
    await runner().resume()
    assert await counts(store, event) == {Status.PENDING: 5, Status.DELIVERED: 2}
    assert await store.changes.unfinished(10) == []


async def test_a_change_that_another_process_is_at_is_left_to_it(store: Store, runner: MakeRunner) -> None:
    event = await delivered(store)
    change = EventChange("chg_1", TENANT, event.id, ChangeKind.REPLAY, START)
    await store.changes.save(change)
    other = runner(alone=False)
    await other.resume()
    moved = EventChange("chg_1", TENANT, event.id, ChangeKind.REPLAY, START, after=await second_page(store, event))
    await store.changes.save(moved)
    await other.resume()
    assert await counts(store, event) == {Status.DELIVERED: 7}, "it moves, so its process lives"
    await other.resume()
    assert await counts(store, event) == {Status.PENDING: 5, Status.DELIVERED: 2}


async def test_a_replay_ends_where_the_event_is_cancelled(store: Store, runner: MakeRunner) -> None:
    event = await delivered(store)
    assert await store.intake.cancel(TENANT, event.id, START)
    with pytest.raises(Conflict, match="was cancelled"):
        await runner().replay(event, None)
    assert await counts(store, event) == {Status.DELIVERED: 7}
    assert [change.kind for change in await store.changes.unfinished(10)] == [ChangeKind.CANCEL]
