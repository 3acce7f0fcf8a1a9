"""Claims that last as long as their attempts, and what trouble with the store does to both."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.keys.model import Principal
from hub.catalogue.subscriptions import SubscriptionSpec
from hub.catalogue.subscriptions.service import Subscriptions
from hub.dispatch.heartbeat import Heartbeat
from hub.dispatch.store_backoff import RECOVERY_SECONDS, StoreBackoff
from hub.dispatch.transitions import reason_to_skip
from hub.errors import Unavailable
from hub.models import Scope, Status
from hub.stores.base import Claim, ClaimRequest
from hub.testing.clock import ManualClock
from hub.testing.patience import patience
from hub.testing.receivers import Arrival, Receiver, Reply
from hub.testing.stores.samples import batch, entry, event
from tests.api_support import Api
from tests.hub.dispatch.parts import outage
from tests.hub.dispatch.test_transitions import claim

LEASE = 30.0


class Gate:
    """A receiver's behaviour: it answers nothing until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, arrival: Arrival) -> Reply:
        await self.opened.wait()
        return Reply(200)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def under_way(api: Api, gate: Gate) -> AsyncIterator[Receiver]:
    """The receiver that one attempt hangs at, with nothing but the dispatcher at work."""
    await api.services.housekeeping.stop(0)
    async with Receiver(gate) as receiver:
        await api.subscribe(event_types=["stock.low"], channel="webhook", target={"url": receiver.url})
        await api.publish("stock.low")
        await receiver.arrived(1)
        yield receiver
        gate.opened.set()


async def turn(times: int = 20) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def attempts(api: Api) -> list[str]:
    (delivered,) = await api.deliveries("delivered")
    shown = (await api.admin.get(f"/v1/deliveries/{delivered['id']}")).json()["attempts"]
    return [attempt["outcome"] for attempt in shown]


async def test_an_attempt_keeps_its_claim_for_as_long_as_it_takes(api: Api, under_way: Receiver, gate: Gate) -> None:
    for _ in range(20):
        api.clock.advance(LEASE / 3)
        await turn()
        assert await api.store.queue.reclaim(10) == []
    gate.opened.set()
    assert await attempts(api) == ["succeeded"]
    assert len(under_way.requests) == 1


async def test_a_sweep_takes_nothing_from_its_own_process(api: Api, under_way: Receiver, gate: Gate) -> None:
    api.dispatcher._heartbeat._beating.cancel()  # type: ignore[union-attr] # internals
    api.clock.advance(LEASE * 2)
    assert await api.dispatcher.sweep() == 0
    gate.opened.set()
    assert await attempts(api) == ["succeeded"]


async def test_a_result_is_recorded_when_the_store_is_back_and_nothing_is_sent_again(
    api: Api, under_way: Receiver, gate: Gate
) -> None:
    with outage(api.store):
        gate.opened.set()
        (attempt,) = api.dispatcher._attempter._attempts
        await asyncio.wait([attempt], timeout=0.1)
        for _ in range(60):
            api.clock.advance(1)
            await turn()
        assert not attempt.done()
        assert api.dispatcher.lanes.in_flight == 1, "what is not recorded takes room, so it cannot become much"
    api.clock.advance(1)
    assert await attempts(api) == ["succeeded"]
    assert len(under_way.requests) == 1


async def test_after_an_outage_leases_are_renewed_before_any_is_taken_over(
    api: Api, under_way: Receiver, gate: Gate
) -> None:
    subscription = (await api.subscribe(event_types=["stock.high"], enabled=False))["id"]
    await api.publish("stock.high")
    store = api.store
    assert len((await store.queue.claim([ClaimRequest(subscription, 1)], {subscription: LEASE})).claims) == 1
    with outage(api.store):
        api.clock.advance(LEASE + 1)
        await turn()
    assert await api.dispatcher.sweep() == 0, "another process may be about to renew its lease"
    api.clock.advance(RECOVERY_SECONDS)
    await turn()
    assert await api.dispatcher.sweep() == 1
    gate.opened.set()
    assert await attempts(api) == ["succeeded"]


async def test_work_that_cannot_be_claimed_is_claimed_when_the_store_is_back(api: Api) -> None:
    async with Receiver() as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url})
        await api.publish(deliver_at=(api.clock.now() + timedelta(seconds=10)).isoformat())
        await api.services.housekeeping.stop(0)
        with outage(api.store):
            api.clock.advance(10)
            await turn()
            assert api.dispatcher.lanes.in_flight == 0
        await turn()
        assert receiver.requests == [], "the store is left alone for a while"
        api.clock.advance(5)
        await api.deliveries("delivered")


async def test_a_dispatcher_that_waits_for_its_store_stops_at_once(api: Api) -> None:
    (loop,) = [task for task in asyncio.all_tasks() if task.get_name() == "dispatcher"]
    with outage(api.store):
        api.dispatcher.notify({"sub_1": None})
        await turn()
        api.dispatcher.stop_claiming()
        async with patience():
            await loop


async def test_a_beat_that_fails_is_repeated_soon(api: Api, under_way: Receiver) -> None:
    claims = list(api.dispatcher._attempter._attempts.values())
    clock, beats = ManualClock(), []
    backoff = StoreBackoff(clock)

    def counted() -> list[Claim]:
        beats.append(clock.monotonic())
        return claims

    heartbeat = Heartbeat(api.store.queue, clock, backoff, LEASE, counted)
    heartbeat.start()
    with outage(api.store):
        await clock.elapse(10)
        await turn()
        assert backoff.recovering
        beats.clear()
        await clock.elapse(5)
    assert len(set(beats)) >= 4
    claims.clear()
    await clock.elapse(1)
    await heartbeat.stop()


def test_trouble_with_the_store_is_recent_for_a_while() -> None:
    clock = ManualClock()
    backoff = StoreBackoff(clock)
    recent = [backoff.recovering]
    assert (backoff.failed(Unavailable("away", retry_after=3.0)), backoff.failed(Unavailable("away"))) == (3.0, 1.0)
    for wait in (RECOVERY_SECONDS - 0.001, 0.001):
        clock.advance(wait)
        recent.append(backoff.recovering)
    assert recent == [False, True, False]


def test_an_event_that_is_damaged_is_never_sent() -> None:
    damaged = replace(claim(), damage="the stored event is not what was accepted")
    skipped = reason_to_skip(damaged, damaged.claimed_at)
    assert skipped is not None
    assert (skipped.status, skipped.reason) == (Status.DEAD, "the stored event is not what was accepted")


async def test_a_subscription_whose_news_has_not_come_yet_is_not_taken_for_deleted(api: Api) -> None:
    """Another process made it and accepted an event for it, and its signal for the lane was quicker."""
    codec = api.services.subscriptions._codec
    elsewhere = Catalogue(api.store.records, codec.decode)
    await elsewhere.refresh()
    operator = Principal("key_1", "default", frozenset({Scope.ADMIN}))
    async with Receiver() as receiver:
        spec = SubscriptionSpec(name="new", event_types=("*",), channel="webhook", target={"url": receiver.url})
        made = await Subscriptions(elsewhere, codec, api.clock).create(operator, spec)
        new = event(tenant="default")
        await api.store.intake.accept(
            batch(entry(new, [made.id]), tenant="default", catalogue_version=elsewhere.version)
        )
        api.dispatcher.notify({made.id: None})
        await api.deliveries("delivered")
        assert len(receiver.requests) == 1
