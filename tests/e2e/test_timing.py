"""When things are sent, and when they are not: later, never, again, on hold."""

import asyncio
from datetime import UTC, datetime, timedelta

from hub.testing.patience import PATIENCE_SECONDS, patience
from hub.testing.receivers import Receiver, Reply
from tests.e2e.tenant import Tenant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def in_seconds(tenant: Tenant, seconds: float) -> str:
    """An instant by the hub's own clock."""
    event = await tenant.call("GET", f"/v1/events/{await tenant.publish('clock.asked')}")
    at = datetime.fromisoformat(event["accepted_at"]) + timedelta(seconds=seconds)
    return at.isoformat().replace("+00:00", "Z")


async def test_an_event_for_later_is_sent_then_and_not_before(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, event_types=["drill.*"])
        deliver_at = await in_seconds(tenant, 2)
        event_id = await tenant.publish(deliver_at=deliver_at)
        waiting = await tenant.delivery(event_id, "pending")
        await receiver.arrived()
        delivery = await tenant.delivery(event_id)
    assert waiting["next_attempt_at"] == deliver_at
    late = datetime.fromisoformat(delivery["attempts"][0]["started_at"]) - datetime.fromisoformat(deliver_at)
    assert timedelta(0) <= late < timedelta(seconds=PATIENCE_SECONDS)


async def test_an_event_that_expires_while_it_waits_is_dead_with_that_reason(tenant: Tenant) -> None:
    async with Receiver([503] * 20) as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, event_types=["drill.*"], retry_schedule=[5])
        event_id = await tenant.publish(expires_at=await in_seconds(tenant, 1))
        delivery = await tenant.delivery(event_id, "dead")
    assert "expired" in delivery["reason"]
    explained = await tenant.call("GET", f"/v1/events/{event_id}/explain")
    assert explained["items"][0]["outcome"] == "expired"


async def cancelled_in_time(tenant: Tenant) -> tuple[str, str]:
    """An event that was cancelled before it was due, which a busy machine may need several tries for, and its time."""
    seconds = 1.0
    async with patience():
        while True:
            deliver_at = await in_seconds(tenant, seconds)
            event_id = await tenant.publish(deliver_at=deliver_at)
            cancelled = await tenant.call("DELETE", f"/v1/events/{event_id}")
            if cancelled["deliveries"] == {"cancelled": 1}:
                return event_id, deliver_at
            seconds *= 2


async def test_a_cancelled_event_is_not_sent(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, event_types=["drill.*"])
        event_id, deliver_at = await cancelled_in_time(tenant)
        await tenant.delivery(await tenant.publish(deliver_at=deliver_at))
        assert event_id not in {arrival.headers["webhook-id"] for arrival in receiver.requests}
    delivery = await tenant.delivery(event_id, "cancelled")
    assert delivery["reason"]


async def test_a_delivery_that_was_cancelled_can_be_replayed(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, event_types=["drill.*"])
        event_id = await tenant.publish(deliver_at=await in_seconds(tenant, 60))
        waiting = await tenant.delivery(event_id, "pending")
        cancelled = await tenant.call("POST", f"/v1/deliveries/{waiting['id']}/cancel")
        assert cancelled["status"] == "cancelled"
        await tenant.call("POST", f"/v1/deliveries/{waiting['id']}/replay")
        (arrival,) = await receiver.arrived()
        delivery = await tenant.delivery(event_id)
    assert arrival.headers["webhook-id"] == event_id
    assert [attempt["cause"] for attempt in delivery["attempts"]] == ["replay"]


async def test_a_replay_sends_the_same_message_again_and_numbers_on(tenant: Tenant) -> None:
    async with Receiver([500, 200]) as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, retry_schedule=[])
        event_id = await tenant.publish(data={"n": 1})
        dead = await tenant.delivery(event_id, "dead")
        assert dead["reason"]
        replayed = await tenant.call("POST", f"/v1/events/{event_id}/replay")
        assert [item["id"] for item in replayed["items"]] == [dead["id"]]
        first, second = await receiver.arrived(2)
        delivery = await tenant.delivery(event_id)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == event_id
    assert first.body == second.body
    story = [(attempt["number"], attempt["cause"], attempt["outcome"]) for attempt in delivery["attempts"]]
    assert story == [(1, "automatic", "failed"), (2, "replay", "succeeded")]


async def test_a_disabled_subscription_holds_its_deliveries_until_it_is_enabled(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        subscription = await tenant.subscribe("webhook", {"url": receiver.url})
        await tenant.call("POST", f"/v1/subscriptions/{subscription}/disable")
        event_id = await tenant.publish(data={"n": 1})
        held = await tenant.delivery(event_id, "held")
        assert held["reason"]
        assert (await tenant.call("GET", f"/v1/events/{event_id}"))["deliveries"] == {"held": 1}
        await asyncio.sleep(0.2)
        assert receiver.requests == []
        await tenant.call("POST", f"/v1/subscriptions/{subscription}/enable")
        await receiver.arrived()
        await tenant.delivery(event_id)


async def test_a_deleted_subscription_is_sent_nothing_more(tenant: Tenant) -> None:
    async with Receiver([503]) as receiver:
        subscription = await tenant.subscribe("webhook", {"url": receiver.url}, retry_schedule=[0.3] * 5)
        event_id = await tenant.publish()
        await receiver.arrived()
        await tenant.call("DELETE", f"/v1/subscriptions/{subscription}")
        delivery = await tenant.delivery(event_id, "cancelled")
        assert len(receiver.requests) == 1
    assert "deleted" in delivery["reason"]


async def test_a_failed_attempt_is_repeated_on_the_schedule(tenant: Tenant) -> None:
    async with Receiver([500, Reply(502, body="upstream is down"), 200]) as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, retry_schedule=[0.2, 0.4])
        event_id = await tenant.publish()
        first, second, third = await receiver.arrived(3)
        delivery = await tenant.delivery(event_id)
    assert second.at - first.at > 0.15
    assert third.at - second.at > 0.3
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [500, 502, 200]
    assert delivery["attempts"][1]["response_body"] == "upstream is down"


async def test_a_target_that_asks_for_time_gets_it(tenant: Tenant) -> None:
    """F35. Red when `Retry-After` is read as milliseconds, or not at all."""
    async with Receiver([Reply(429, headers={"Retry-After": "1"})]) as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, retry_schedule=[0])
        first, second = (await tenant.publish(data=1), await receiver.arrived(2))[1]
    assert second.at - first.at >= 1


async def test_a_rate_limit_is_kept(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url}, rate_limit={"per_second": 10})
        events = await asyncio.gather(*(tenant.publish(data=number) for number in range(12)))
        await receiver.arrived(12)
        attempts = [(await tenant.delivery(event_id))["attempts"][0] for event_id in events]
    # By the clock of the hub, for this process may hear of the first one late.
    began = sorted(datetime.fromisoformat(attempt["started_at"]) for attempt in attempts)
    assert began[-1] - began[0] >= timedelta(seconds=0.8)
