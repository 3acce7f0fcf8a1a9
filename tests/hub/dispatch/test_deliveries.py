"""Deliveries for people: held while their subscription is disabled, cancelled, replayed, and explained."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from hub.dispatch import change_runner
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.events import Events
from hub.errors import Conflict, Invalid, NotFound
from hub.instants import instant_text
from hub.models import Delivery, Event, Status
from hub.stores.base import DeliveryQuery, Page, Result, Signal
from hub.testing.stores import samples
from tests.hub.dispatch.parts import OPERATOR, TENANT, Parts, deliveries_service, make_parts

ALL = DeliveryQuery()


@dataclass
class Desk:
    """The service, and what it told the workers."""

    parts: Parts
    service: Deliveries
    told: list[Signal] = field(default_factory=list)

    async def publish(self, *subscriptions: str, **members: Any) -> Event:
        new = samples.event(accepted_at=self.parts.clock.now(), **members)
        version = self.parts.catalogue.version
        await self.parts.store.intake.accept(
            samples.batch(samples.entry(new, subscriptions), catalogue_version=version)
        )
        return new

    async def subscribe(self, number: int) -> list[str]:
        """The ids of new subscriptions, in their order."""
        return [(await self.parts.subscribe()).id for _ in range(number)]

    async def of(self, event: Event) -> list[Delivery]:
        return [*(await self.service.listing(TENANT, DeliveryQuery(event_id=event.id), Page())).items]

    async def end(self, lane: str, status: Status = Status.DELIVERED, **members: Any) -> None:
        """Let the attempts at what is due in this lane end in a status."""
        claims = await samples.claim(self.parts.store, lane)
        await self.parts.store.queue.finish([samples.result(claim, status, **members) for claim in claims])

    async def explained(self, event: Event) -> dict[str, tuple[str, str]]:
        return {e.subscription_id: (e.outcome, e.reason) for e in await self.service.explain(TENANT, event.id)}


@pytest.fixture
def desk(parts: Parts) -> Desk:
    told: list[Signal] = []
    service = deliveries_service(parts, Events(parts.store.archive), told.append)
    return Desk(parts, service, told)


async def test_what_waits_for_a_channel_that_can_send_nothing_is_held_too(desk: Desk) -> None:
    subscription = await desk.parts.subscribe()
    event = await desk.publish(subscription.id)
    desk.parts.channel.missing = "HUB_SCRIPTED_KEY is not set"
    (delivery,) = await desk.of(event)
    assert (delivery.status, delivery.reason) == (Status.HELD, "HUB_SCRIPTED_KEY is not set")
    held = await desk.service.listing(TENANT, DeliveryQuery(status=Status.HELD), Page())
    assert [shown.id for shown in held.items] == [delivery.id]
    assert (await desk.service.listing(TENANT, DeliveryQuery(status=Status.PENDING), Page())).items == ()
    assert await desk.service.counts(TENANT, ALL) == {Status.HELD: 1}
    assert (await desk.explained(event))[subscription.id] == (
        "held",
        f"the delivery {delivery.id} is held: HUB_SCRIPTED_KEY is not set",
    )
    desk.parts.channel.missing = None
    assert await desk.service.counts(TENANT, ALL) == {Status.PENDING: 1}
    due = instant_text(event.accepted_at)
    assert (await desk.explained(event))[subscription.id] == (
        "matched",
        f"the delivery {delivery.id} is pending; its next attempt is due at {due}",
    )


async def test_what_waits_for_a_disabled_subscription_is_shown_listed_and_counted_as_held(desk: Desk) -> None:
    open_, disabled = await desk.parts.subscribe(), await desk.parts.subscribe(enabled=False)
    event = await desk.publish(open_.id, disabled.id)
    shown = {delivery.subscription_id: delivery for delivery in await desk.of(event)}
    assert {lane: delivery.status for lane, delivery in shown.items()} == {
        open_.id: Status.PENDING, disabled.id: Status.HELD
    }  # fmt: skip
    assert shown[disabled.id].reason == "the subscription is disabled: disabled on request"
    for status, lane in ((Status.PENDING, open_.id), (Status.HELD, disabled.id)):
        found = await desk.service.listing(TENANT, DeliveryQuery(status=status), Page())
        assert [delivery.subscription_id for delivery in found.items] == [lane]
        elsewhere = DeliveryQuery(status=status, subscription_ids=frozenset({"sub_other"}))
        assert (await desk.service.listing(TENANT, elsewhere, Page())).items == ()
    assert await desk.service.counts(TENANT, ALL) == {Status.PENDING: 1, Status.HELD: 1}
    await desk.parts.subscriptions.enable(TENANT, disabled.id)
    assert await desk.service.counts(TENANT, ALL) == {Status.PENDING: 2}


async def test_a_delivery_of_another_tenant_does_not_exist(desk: Desk) -> None:
    event = await desk.publish("sub_1")
    (delivery,) = await desk.of(event)
    for call in (desk.service.delivery, desk.service.cancel, desk.service.replay):
        with pytest.raises(NotFound):
            await call("other", delivery.id)
    assert await desk.service.attempts("other", delivery.id) == []


async def test_a_delivery_is_cancelled_once_and_not_while_it_is_sent(desk: Desk) -> None:
    event = await desk.publish("sub_1", "sub_2")
    waiting, under_way = sorted(await desk.of(event), key=lambda delivery: delivery.subscription_id)
    await samples.claim(desk.parts.store, "sub_2")
    cancelled = await desk.service.cancel(TENANT, waiting.id)
    assert (cancelled.status, cancelled.reason) == (Status.CANCELLED, "cancelled on request")
    for delivery, retry_after in ((waiting, None), (under_way, 1)):
        with pytest.raises(Conflict) as refused:
            await desk.service.cancel(TENANT, delivery.id)
        assert refused.value.retry_after == retry_after
    assert desk.parts.counted == {"cancelled": 1}


async def test_a_change_that_another_write_overtook_is_refused(desk: Desk) -> None:
    event = await desk.publish("sub_1")
    (stale,) = await desk.of(event)
    await desk.end("sub_1")
    with pytest.raises(Conflict, match="changed in the meantime"):
        await desk.service._write(Result(stale))


async def test_a_replay_is_due_at_once_and_the_worker_is_told(desk: Desk) -> None:
    (lane,) = await desk.subscribe(1)
    event = await desk.publish(lane)
    await desk.end(lane, Status.DEAD)
    (dead,) = await desk.of(event)
    replayed = await desk.service.replay(TENANT, dead.id)
    assert (replayed.status, replayed.next_attempt_at) == (Status.PENDING, desk.parts.clock.now())
    assert desk.told == [Signal({lane: None})]
    await samples.claim(desk.parts.store, lane)
    with pytest.raises(Conflict):
        await desk.service.replay(TENANT, dead.id)


async def test_of_an_event_only_what_has_ended_is_replayed(desk: Desk) -> None:
    lanes = await desk.subscribe(3)
    event = await desk.publish(*lanes)
    for lane in lanes[:2]:
        await desk.end(lane)
    replayed = await desk.service.replay_event(TENANT, event.id, lanes[1:])
    assert [d.subscription_id for d in replayed] == [lanes[1]]
    replayed = await desk.service.replay_event(TENANT, event.id, None)
    assert [d.subscription_id for d in replayed] == [lanes[0]]
    assert desk.told == [Signal({lanes[1]: None}), Signal({lanes[0]: None})]
    with pytest.raises(Invalid) as refused:
        await desk.service.replay_event(TENANT, event.id, [lanes[0], "sub_other"])
    assert [fault.pointer for fault in refused.value.errors] == ["/subscription_ids/1"]


async def test_what_was_for_a_deleted_subscription_is_not_replayed_and_stays_as_it_was(desk: Desk) -> None:
    gone, there = await desk.subscribe(2)
    for_both, for_one = await desk.publish(gone, there), await desk.publish(gone)
    for lane in (gone, there):
        await desk.end(lane)
    await desk.parts.subscriptions.delete(TENANT, gone)
    (delivered,) = await desk.of(for_one)
    with pytest.raises(Conflict, match="deleted"):
        await desk.service.replay(TENANT, delivered.id)
    for event, only in ((for_one, None), (for_both, [gone]), (for_both, [there, gone])):
        with pytest.raises(Conflict, match="deleted"):
            await desk.service.replay_event(TENANT, event.id, only)
    replayed = await desk.service.replay_event(TENANT, for_both.id, None)
    assert [d.subscription_id for d in replayed] == [there]
    assert await desk.of(for_one) == [delivered]


async def test_what_is_for_a_subscription_whose_news_has_not_come_yet_is_replayed(desk: Desk) -> None:
    elsewhere = make_parts(desk.parts.store, desk.parts.clock)
    made = await elsewhere.subscribe()
    claim = await elsewhere.claim(made.id)
    await desk.parts.store.queue.finish([samples.result(claim, Status.DELIVERED)])
    assert (await desk.service.replay(TENANT, claim.delivery.id)).status is Status.PENDING


@pytest.mark.parametrize("whole", [False, True])
async def test_a_replay_that_a_cancellation_overtook_is_refused_as_one_that_came_after_it(
    desk: Desk, whole: bool
) -> None:
    (lane,) = await desk.subscribe(1)
    event = await desk.publish(lane)
    await desk.end(lane)
    (delivered,) = await desk.of(event)

    class Late(Events):
        """The event as it was before someone cancelled it."""

        async def find(self, tenant: str, event_id: str) -> Event:
            await desk.parts.cancel(event)
            return event

    service = desk.service
    service._events = Late(desk.parts.store.archive)
    replaying = service.replay_event(TENANT, event.id, None) if whole else service.replay(TENANT, delivered.id)
    with pytest.raises(Conflict, match="was cancelled"):
        await replaying
    assert (await desk.of(event), desk.told) == ([delivered], [])


async def test_an_event_that_was_cancelled_or_has_expired_is_not_replayed(desk: Desk) -> None:
    (lane,) = await desk.subscribe(1)
    cancelled = await desk.publish(lane)
    expired = await desk.publish(lane, expires_at=desk.parts.clock.now() + timedelta(seconds=10))
    await desk.end(lane)
    await desk.service.cancel_event(TENANT, cancelled.id)
    desk.parts.clock.advance(10)
    for event, reason in ((cancelled, "cancelled"), (expired, "expired")):
        (delivery,) = await desk.of(event)
        with pytest.raises(Conflict, match=reason):
            await desk.service.replay(TENANT, delivery.id)
        with pytest.raises(Conflict, match=reason):
            await desk.service.replay_event(TENANT, event.id, None)
    assert desk.told == []


async def test_cancelling_an_event_cancels_what_waits_over_all_steps(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_runner, "STEP", 2)
    event = await desk.publish(*(f"sub_{number}" for number in range(7)))
    await desk.end("sub_0")
    await samples.claim(desk.parts.store, "sub_1")
    assert await desk.service.cancel_event(TENANT, event.id) == 5
    assert await desk.service.cancel_event(TENANT, event.id) == 0
    assert await desk.service.counts(TENANT, ALL) == {Status.DELIVERED: 1, Status.SENDING: 1, Status.CANCELLED: 5}
    assert desk.parts.counted == {"cancelled": 5}


async def test_every_subscription_is_told_what_became_of_an_event_for_it_and_why(desk: Desk) -> None:
    parts, clock = desk.parts, desk.parts.clock
    subscribed = {
        "other type": await parts.subscribe(event_types=["user.*"]),
        "filtered": await parts.subscribe(filter={"data.total": {"gte": 100}}),
        "disabled": await parts.subscribe(enabled=False),
        "changed": await parts.subscribe(event_types=["user.*"]),
        "expanding": await parts.subscribe(),
        "delivered": await parts.subscribe(),
        "held": await parts.subscribe(),
        "expired": await parts.subscribe(),
    }
    ids = {name: subscription.id for name, subscription in subscribed.items()}
    clock.advance(1)
    event = await desk.publish(ids["delivered"], ids["held"], ids["expired"], "sub_deleted", data=b'{"total": 12}')
    await desk.end(ids["delivered"])
    await desk.end(ids["expired"], Status.DEAD, reason="expired before it could be sent")
    clock.advance(1)
    await parts.subscriptions.disable(TENANT, ids["held"], "HTTP 410")
    await parts.subscriptions.patch(OPERATOR, ids["changed"], {"event_types": ["order.*"]})
    late = await parts.subscribe()
    explained = await desk.explained(event)
    assert {name: explained[id_][0] for name, id_ in ids.items()} == {
        "other type": "no_match",
        "filtered": "filtered",
        "disabled": "disabled",
        "changed": "no_match",
        "expanding": "matched",
        "delivered": "matched",
        "held": "held",
        "expired": "expired",
    }
    assert explained[ids["other type"]][1] == "no pattern matches the type order.created"
    assert explained[ids["disabled"]][1] == "the subscription is disabled: disabled on request"
    assert explained[ids["held"]][1].endswith("is held: the subscription is disabled: HTTP 410")
    assert explained[late.id] == ("no_match", "the subscription was created after the event was accepted")
    assert explained["sub_deleted"][0] == "matched"
    assert list(explained) == sorted(explained)


async def test_an_event_that_does_not_exist_is_neither_explained_nor_cancelled(desk: Desk) -> None:
    for call in (desk.service.explain, desk.service.cancel_event):
        with pytest.raises(NotFound):
            await call(TENANT, "evt_none")


async def test_the_health_of_a_subscription_is_that_of_its_lane(desk: Desk) -> None:
    subscription = await desk.parts.subscribe()
    assert (await desk.service.health(subscription)).state == "healthy"
