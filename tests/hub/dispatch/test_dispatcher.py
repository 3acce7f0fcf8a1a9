"""Deliveries moving through the whole dispatcher: real store, real channel, real receiver, a clock that tests move."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.dispatch.store_backoff import RECOVERY_SECONDS
from hub.stores.base import ClaimRequest
from hub.stores.gate import THRESHOLD
from hub.testing.clock import ManualClock
from hub.testing.patience import patience
from hub.testing.receivers import Arrival, Receiver, Reply
from tests.api_support import Api, open_api, settings_for
from tests.hub.dispatch.hanging import Gate, attempts, turn
from tests.hub.dispatch.parts import outage


async def subscribe(api: Api, receiver: Receiver, **members: Any) -> str:
    subscription = await api.subscribe(channel="webhook", target={"url": receiver.url}, **members)
    return str(subscription["id"])


async def detail(api: Api, delivery: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await api.admin.get(f"/v1/deliveries/{delivery['id']}")).json()
    return found


async def due_again(api: Api, attempts: int = 1) -> dict[str, Any]:
    """The one delivery, once it waits for its next attempt after so many."""
    found: list[dict[str, Any]] = []

    async def waits() -> bool:
        found[:] = (await api.deliveries("pending"))[:1]
        return bool(found) and found[0]["attempt_count"] == attempts

    await api.until(waits)
    return found[0]


async def test_a_failed_attempt_is_repeated_when_the_schedule_says(api: Api) -> None:
    async with Receiver([Reply(500), Reply(200)]) as receiver:
        await subscribe(api, receiver, retry_schedule=[10])
        await api.publish()
        waiting = await due_again(api)
        assert waiting["reason"] == "answered 500 Internal Server Error"
        assert len(receiver.requests) == 1
        api.clock.advance(13)
        (delivered,) = await api.deliveries("delivered")
        outcomes = [attempt["outcome"] for attempt in (await detail(api, delivered))["attempts"]]
        assert outcomes == ["failed", "succeeded"]
        assert {arrival.headers["webhook-id"] for arrival in receiver.requests} == {delivered["event_id"]}


async def test_the_last_failure_makes_a_dead_letter_that_can_be_replayed(api: Api) -> None:
    async with Receiver([Reply(500), Reply(200)]) as receiver:
        await subscribe(api, receiver, retry_schedule=[])
        await api.publish()
        (dead,) = await api.deliveries("dead")
        assert "answered 500" in dead["reason"]
        assert (await api.admin.post(f"/v1/deliveries/{dead['id']}/replay")).status_code == 202
        (delivered,) = await api.deliveries("delivered")
        causes = [attempt["cause"] for attempt in (await detail(api, delivered))["attempts"]]
        assert causes == ["automatic", "replay"]


async def test_retry_after_is_obeyed_exactly(api: Api) -> None:
    async with Receiver([Reply(503, headers={"Retry-After": "120"}), Reply(200)]) as receiver:
        await subscribe(api, receiver)
        await api.publish()
        waiting = await due_again(api)
        assert waiting["next_attempt_at"] == _shown(api.clock, 120)
        api.clock.advance(119)
        await asyncio.sleep(0)
        assert len(receiver.requests) == 1
        api.clock.advance(1)
        await api.deliveries("delivered")


def _shown(clock: ManualClock, seconds: float) -> str:
    instant = (clock.now() + timedelta(seconds=seconds)).isoformat()
    return instant.replace("+00:00", "Z")


async def test_410_disables_the_subscription_and_holds_what_comes_after(api: Api) -> None:
    async with Receiver([Reply(410), Reply(200)]) as receiver:
        subscription = await subscribe(api, receiver)
        await api.publish()
        await api.deliveries("dead")

        async def disabled() -> bool:
            shown = (await api.admin.get(f"/v1/subscriptions/{subscription}")).json()
            return shown["enabled"] is False and "410" in shown["disabled_reason"]

        await api.until(disabled)
        await api.publish()
        (held,) = await api.deliveries("held")
        assert "410" in held["reason"]
        (await api.admin.post(f"/v1/subscriptions/{subscription}/enable")).raise_for_status()
        await api.deliveries("delivered")


async def test_late_answers_of_an_old_address_say_nothing_of_the_new_one(api: Api, gate: Gate) -> None:
    async def old(arrival: Arrival) -> Reply:
        await gate.opened.wait()
        return Reply(410 if arrival is receiver.requests[0] else 500)

    async with Receiver(old) as receiver, Receiver() as other:
        subscription = await subscribe(api, receiver, retry_schedule=[3600], max_in_flight=THRESHOLD + 1)
        for _ in range(THRESHOLD + 1):
            await api.publish()
        await receiver.arrived(THRESHOLD + 1)
        patch = {"target": {"url": other.url}}
        (await api.admin.patch(f"/v1/subscriptions/{subscription}", json=patch)).raise_for_status()
        gate.opened.set()
        await api.deliveries("dead")
        await api.deliveries("pending", THRESHOLD)
        shown = (await api.admin.get(f"/v1/subscriptions/{subscription}")).json()
        assert (shown["enabled"], shown["health"]["state"]) == (True, "healthy")
        await api.publish()
        await other.arrived(1)


async def test_a_renamed_subscription_keeps_what_a_429_asked_for(api: Api) -> None:
    async with Receiver([Reply(429, headers={"Retry-After": "30"})]) as receiver:
        subscription = await subscribe(api, receiver)
        await api.publish()
        await due_again(api)
        (await api.admin.patch(f"/v1/subscriptions/{subscription}", json={"name": "another"})).raise_for_status()
        await api.publish()
        api.clock.advance(29.9)
        await api.dispatcher.sweep()
        await turn()
        assert len(receiver.requests) == 1
        api.clock.advance(0.1)
        await api.deliveries("delivered", 2)


async def test_a_subscription_never_has_more_under_way_than_it_allows(api: Api) -> None:
    under_way, most = 0, 0
    gate = asyncio.Event()

    async def slow(arrival: Arrival) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return Reply(200)

    async with Receiver(slow) as receiver:
        await subscribe(api, receiver, max_in_flight=3)
        for _ in range(10):
            await api.publish()
        await receiver.arrived(3)
        gate.set()
        await api.deliveries("delivered", 10)
        assert most == 3


async def test_a_dead_target_opens_the_breaker_and_others_flow_on(api: Api) -> None:
    async with Receiver(lambda arrival: Reply(500)) as broken, Receiver() as healthy:
        failing = await subscribe(api, broken, max_in_flight=THRESHOLD, retry_schedule=[3600])
        await subscribe(api, healthy)
        for _ in range(THRESHOLD * 3):
            await api.publish()
        await api.deliveries("delivered", THRESHOLD * 3)

        async def is_open() -> bool:
            shown = (await api.admin.get(f"/v1/subscriptions/{failing}")).json()
            return bool(shown["health"]["state"] == "open")

        await api.until(is_open)
        tried = len(broken.requests)
        assert THRESHOLD <= tried < THRESHOLD * 2, "no more than were under way when it opened"
        api.clock.advance(5)
        await broken.arrived(tried + 1)


async def test_messages_that_can_never_be_taken_do_not_open_the_breaker(api: Api) -> None:
    subscription = await api.subscribe(channel="webhook", target={"url": "http://10.1.2.3/"})
    for _ in range(THRESHOLD * 2):
        await api.publish()
    dead = await api.deliveries("dead", THRESHOLD * 2)
    assert "HUB_ALLOW_PRIVATE_TARGETS" in dead[0]["reason"]
    shown = (await api.admin.get(f"/v1/subscriptions/{subscription['id']}")).json()
    assert shown["health"]["state"] == "healthy"


async def test_an_event_is_not_sent_before_its_time(api: Api) -> None:
    async with Receiver() as receiver:
        await subscribe(api, receiver)
        await api.publish(deliver_at=_shown(api.clock, 60))
        await api.publish("stock.high")
        await receiver.arrived(1)
        assert [arrival.json()["type"] for arrival in receiver.requests] == ["stock.high"]
        api.clock.advance(60)
        await api.deliveries("delivered", 2)


async def test_an_event_that_expired_while_it_was_held_dies_unsent(api: Api) -> None:
    async with Receiver() as receiver:
        subscription = await subscribe(api, receiver, enabled=False)
        await api.publish(expires_at=_shown(api.clock, 60))
        await api.deliveries("held")
        api.clock.advance(61)
        (await api.admin.post(f"/v1/subscriptions/{subscription}/enable")).raise_for_status()
        (dead,) = await api.deliveries("dead")
        assert dead["reason"].startswith("expired")
        assert dead["attempt_count"] == 0
        assert receiver.requests == []


async def test_what_is_held_ends_when_its_event_expires_and_goes_with_its_retention(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path)) as api:
        await api.subscribe(enabled=False)
        event = await api.publish(expires_at=_shown(api.clock, 60))
        staying = await api.publish()
        await api.deliveries("held", 2)
        api.clock.advance(86_400)
        await api.dispatcher.sweep()
        (dead,) = await api.deliveries("dead")
        assert (dead["event_id"], dead["reason"]) == (event, "expired before it could be sent")
        assert (await api.store.upkeep.purge(api.clock.now() - timedelta(hours=1), 500)).number == 0
        api.clock.advance(3_601)
        assert (await api.store.upkeep.purge(api.clock.now() - timedelta(hours=1), 500)).number == 1
        found = {one: (await api.admin.get(f"/v1/events/{one}")).status_code for one in (event, staying)}
        assert found == {event: 404, staying: 200}


async def test_what_waits_for_a_deleted_subscription_is_cancelled(api: Api) -> None:
    async with Receiver(lambda arrival: Reply(500)) as receiver:
        subscription = await subscribe(api, receiver, retry_schedule=[60])
        await api.publish()
        await due_again(api)
        (await api.admin.delete(f"/v1/subscriptions/{subscription}")).raise_for_status()
        api.clock.advance(73)
        (cancelled,) = await api.deliveries("cancelled")
        assert cancelled["reason"] == "the subscription was deleted"


async def test_an_attempt_that_fails_after_its_event_was_cancelled_is_not_repeated(api: Api) -> None:
    gate = asyncio.Event()

    async def hanging(arrival: Arrival) -> Reply:
        await gate.wait()
        return Reply(500)

    async with Receiver(hanging) as receiver:
        await subscribe(api, receiver)
        event = await api.publish()
        await receiver.arrived(1)
        (await api.admin.delete(f"/v1/events/{event}")).raise_for_status()
        gate.set()
        (cancelled,) = await api.deliveries("cancelled")
        attempts = (await detail(api, cancelled))["attempts"]
        assert [attempt["outcome"] for attempt in attempts] == ["failed"]


async def test_a_channel_that_raises_anything_is_a_failure_that_is_repeated(api: Api) -> None:
    async with Receiver() as receiver:
        await subscribe(api, receiver)
        channel = api.services.sender._channels["webhook"]
        broken = channel.context.http
        await broken.aclose()
        await api.publish()
        waiting = await due_again(api)
        assert "failed" in waiting["reason"]


async def test_more_subscriptions_than_fit_inline_are_expanded_in_the_background(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path, fanout_inline_max=3)) as api, Receiver() as receiver:
        for _ in range(8):
            await subscribe(api, receiver)
        event = await api.publish()
        await api.deliveries("delivered", 8)
        shown = (await api.admin.get(f"/v1/events/{event}")).json()
        assert shown["deliveries"] == {"delivered": 8}


async def test_stopping_ends_attempts_under_way_as_unknown_and_the_next_start_repeats_them(tmp_path: Path) -> None:
    hang = asyncio.Event()

    async def hanging(arrival: Arrival) -> Reply:
        await hang.wait()
        return Reply(200)

    async with Receiver(hanging) as receiver:
        async with open_api(settings_for(tmp_path, shutdown_grace=0.05)) as api:
            await subscribe(api, receiver)
            await api.publish()
            await receiver.arrived(1)
        hang.set()
        async with open_api(settings_for(tmp_path)) as again:
            (delivered,) = await again.deliveries("delivered")
            attempts = (await detail(again, delivered))["attempts"]
        assert [attempt["outcome"] for attempt in attempts] == ["unknown", "succeeded"]
        assert len({arrival.headers["webhook-id"] for arrival in receiver.requests}) == 1


async def test_a_delivery_left_behind_by_a_dead_process_ends_when_its_event_was_cancelled(tmp_path: Path) -> None:
    async with Receiver() as receiver, open_api(settings_for(tmp_path)) as api:
        subscription = await subscribe(api, receiver, enabled=False)
        event = await api.publish()
        queue = api.store.queue
        await queue.claim([ClaimRequest(subscription, 1)], {subscription: 1.0})
        (await api.admin.delete(f"/v1/events/{event}")).raise_for_status()
        api.clock.advance(2)
        assert await api.dispatcher.sweep() == 1
        (cancelled,) = await api.deliveries("cancelled")
        attempts = (await detail(api, cancelled))["attempts"]
        assert [attempt["outcome"] for attempt in attempts] == ["unknown"]
        assert await queue.reclaim(10, all_owners=True) == []


async def test_a_target_that_is_gone_may_be_deleted_while_it_says_so(api: Api) -> None:
    gate = asyncio.Event()

    async def gone(arrival: Arrival) -> Reply:
        await gate.wait()
        return Reply(410)

    async with Receiver(gone) as receiver:
        subscription = await subscribe(api, receiver)
        await api.publish()
        await receiver.arrived(1)
        (attempt,) = api.dispatcher._attempter._attempts
        (await api.admin.delete(f"/v1/subscriptions/{subscription}")).raise_for_status()
        gate.set()
        (dead,) = await api.deliveries("dead")
        assert "410" in dead["reason"]
        await attempt


async def test_a_claim_that_comes_while_stopping_is_given_back_uncounted(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        async with open_api(settings_for(tmp_path)) as api:
            await subscribe(api, receiver)
            (loop,) = [task for task in asyncio.all_tasks() if task.get_name() == "dispatcher"]
            api.dispatcher.stop_claiming()
            await api.publish()
            async with patience():
                await loop
        assert receiver.requests == []
        async with open_api(settings_for(tmp_path)) as again:
            (delivered,) = await again.deliveries("delivered")
            assert delivered["attempt_count"] == 1


LEASE = 30.0


async def test_a_sweep_takes_nothing_from_its_own_process(api: Api, under_way: Receiver, gate: Gate) -> None:
    api.dispatcher._heartbeat._beating.cancel()  # type: ignore[union-attr] # internals
    api.clock.advance(LEASE * 2)
    assert await api.dispatcher.sweep() == 0
    gate.opened.set()
    assert await attempts(api) == ["succeeded"]


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


async def test_a_dispatcher_that_waits_for_its_store_stops_at_once(api: Api) -> None:
    (loop,) = [task for task in asyncio.all_tasks() if task.get_name() == "dispatcher"]
    with outage(api.store):
        api.dispatcher.notify({"sub_1": None})
        await turn()
        api.dispatcher.stop_claiming()
        async with patience():
            await loop


@pytest.mark.parametrize("seconds", [3_600, -3_600])
async def test_a_clock_that_is_set_while_an_attempt_is_under_way_holds_up_nothing(
    api: Api, gate: Gate, seconds: float
) -> None:
    async with Receiver(gate) as receiver:
        await subscribe(api, receiver, max_in_flight=1)
        for _ in range(3):
            await api.publish()
        await receiver.arrived(1)
        api.clock.set_back(seconds)
        gate.opened.set()
        await receiver.arrived(3)
