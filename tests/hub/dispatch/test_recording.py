"""What an attempt makes of its delivery is written once, whatever the store does, and what follows is set going."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.base import Receipt, SendFailed
from hub.dispatch.store_backoff import RETRY_SECONDS
from hub.dispatch.transitions import AttemptResult, Skipped, Timing, skip
from hub.models import FeedKind, Status
from hub.stores.base import Claim
from hub.testing.receivers import Receiver
from hub.testing.stores import samples
from tests.api_support import Api
from tests.hub.dispatch.hanging import Gate, attempts, turn
from tests.hub.dispatch.parts import OPERATOR, Parts, make_parts, outage

FAILED = SendFailed("answered 500", status_code=500)


async def record(parts: Parts, claim: Claim, attempted: AttemptResult) -> list[Any]:
    """Record an attempt of a second; gives what was logged."""
    ended_at = parts.clock.now()
    timing = Timing(ended_at - timedelta(seconds=1), ended_at, 1_000)
    subscription = parts.catalogue.subscription(claim.delivery.subscription_id)
    assert subscription is not None
    with capture_logs() as lines:
        await parts.recorder.record_attempt(claim, subscription, attempted, timing, 1.0)
    return lines


async def test_the_lanes_hear_when_a_delivery_is_due_again(parts: Parts) -> None:
    subscription = await parts.subscribe(retry_schedule=[10])
    claim = await parts.claim(subscription.id)
    await record(parts, claim, FAILED)
    delivery = await parts.delivery(claim)
    assert (delivery.status, await parts.outcomes(claim)) == (Status.PENDING, ["failed"])
    assert parts.notified == [(subscription.id, delivery.next_attempt_at)]


async def test_a_delivery_that_ends_is_not_due_again(parts: Parts) -> None:
    claim = await parts.claim((await parts.subscribe()).id)
    lines = await record(parts, claim, Receipt(200))
    assert (await parts.delivery(claim)).status is Status.DELIVERED
    assert parts.notified == []
    assert parts.counted == {"delivered": 1}
    assert [line["event"] for line in lines] == ["delivery.attempted"]


async def test_a_dead_letter_is_logged_once_when_it_is_recorded(parts: Parts) -> None:
    claim = await parts.claim((await parts.subscribe(retry_schedule=[])).id)
    attempted, dead = await record(parts, claim, FAILED)
    assert (attempted["event"], attempted["log_level"]) == ("delivery.attempted", "info")
    delivery = claim.delivery
    assert dead == {
        "event": "delivery.dead",
        "log_level": "warning",
        "tenant": delivery.tenant,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "delivery_id": delivery.id,
        "subscription_id": delivery.subscription_id,
        "channel": "webhook",
        "attempt_count": 1,
        "reason": "gave up after attempt 1 of the retry schedule: answered 500",
    }


async def test_a_dead_letter_without_an_attempt_is_logged_too(parts: Parts) -> None:
    claim = await parts.claim((await parts.subscribe()).id)
    with capture_logs() as lines:
        await parts.recorder.record(
            skip(claim, Skipped(Status.DEAD, "expired before it could be sent"), claim.claimed_at)
        )
    assert [(line["event"], line["attempt_count"], line["reason"]) for line in lines] == [
        ("delivery.dead", 0, "expired before it could be sent")
    ]
    assert parts.counted == {"dead": 1}


async def test_the_result_of_a_claim_that_was_lost_changes_nothing(parts: Parts) -> None:
    subscription = await parts.subscribe(retry_schedule=[])
    claim = await parts.claim(subscription.id)
    (theirs,) = await parts.store.queue.reclaim(10, all_owners=True)
    lines = await record(parts, claim, FAILED)
    assert [line["event"] for line in lines] == ["delivery.attempted"], "nothing has died here"
    delivery = await parts.delivery(claim)
    assert (delivery.status, delivery.token) == (Status.SENDING, theirs.delivery.token)
    assert parts.notified == []
    assert parts.counted == {}


@pytest.mark.parametrize("lost", [False, True])
async def test_what_would_be_tried_again_is_cancelled_where_its_event_was(parts: Parts, lost: bool) -> None:
    claim = await parts.claim((await parts.subscribe()).id)
    await parts.cancel(claim.event)
    if lost:
        await parts.recorder.record_lost(await parts.store.queue.reclaim(10, all_owners=True))
    else:
        await record(parts, claim, FAILED)
    delivery = await parts.delivery(claim)
    assert (delivery.status, delivery.reason) == (Status.CANCELLED, "the event was cancelled")
    assert await parts.outcomes(claim) == ["unknown" if lost else "failed"]
    assert parts.counted == {"cancelled": 1}


async def test_a_result_waits_for_the_store(parts: Parts) -> None:
    claim = await parts.claim((await parts.subscribe()).id)
    with outage(parts.store):
        recording = asyncio.create_task(record(parts, claim, Receipt(200)))
        await parts.clock.elapse(60 * RETRY_SECONDS)
        assert not recording.done()
        assert parts.backoff.recovering
    await parts.clock.elapse(RETRY_SECONDS)
    await recording
    assert (await parts.delivery(claim)).status is Status.DELIVERED


async def test_attempts_of_a_dead_process_are_recorded_as_unknown(parts: Parts) -> None:
    subscription = await parts.subscribe()
    claim = await parts.claim(subscription.id)
    with capture_logs() as lines:
        await parts.recorder.record_lost(await parts.store.queue.reclaim(10, all_owners=True))
    assert await parts.outcomes(claim) == ["unknown"]
    assert parts.notified == [(subscription.id, parts.clock.now())], "it is repeated at once"
    assert [(line["event"], line["duration_ms"]) for line in lines] == [("delivery.attempted", None)]


GONE = SendFailed("answered 410 Gone", status_code=410)


async def test_a_target_that_is_gone_disables_its_subscription_in_the_commit_of_the_result(parts: Parts) -> None:
    subscription = await parts.subscribe()
    claim = await parts.claim(subscription.id)
    newest = (await parts.store.feed.bounds())[1]
    await record(parts, claim, GONE)
    disabled = parts.subscriptions.find(samples.TENANT, subscription.id)
    assert not disabled.spec.enabled
    assert "410" in (disabled.disabled_reason or "")
    kinds = [row.entry.kind.value for row in await parts.store.feed.read(newest, 10)]
    assert kinds == ["delivery.attempted", "delivery.dead", "subscription.disabled"]


async def test_a_late_410_of_an_address_says_nothing_of_the_one_that_took_its_place(parts: Parts) -> None:
    subscription = await parts.subscribe()
    claim = await parts.claim(subscription.id)
    await parts.subscriptions.disable(samples.TENANT, subscription.id, "the address moves")
    enabled = await parts.subscriptions.enable(samples.TENANT, subscription.id)
    timing = Timing(parts.clock.now(), parts.clock.now(), 0)
    await parts.recorder.record_attempt(claim, subscription, GONE, timing, 0.0)
    assert parts.subscriptions.find(samples.TENANT, subscription.id) == enabled
    assert (await parts.delivery(claim)).status is Status.DEAD


async def test_a_target_that_is_gone_disables_its_subscription_though_that_was_renamed(parts: Parts) -> None:
    subscription = await parts.subscribe()
    claim = await parts.claim(subscription.id)
    elsewhere = make_parts(parts.store, parts.clock)
    await elsewhere.catalogue.refresh()
    renamed = await elsewhere.subscriptions.patch(OPERATOR, subscription.id, {"name": "renamed"})
    await record(parts, claim, GONE)
    disabled = parts.subscriptions.find(samples.TENANT, subscription.id)
    assert (disabled.spec.name, disabled.spec.enabled, disabled.version) == ("renamed", False, renamed.version + 1)
    assert await parts.outcomes(claim) == ["failed"]


async def test_of_many_410_at_once_one_disables_the_subscription(parts: Parts) -> None:
    subscription = await parts.subscribe()
    claims = [await parts.claim(subscription.id) for _ in range(3)]
    await asyncio.gather(*(record(parts, claim, GONE) for claim in claims))
    rows = await parts.store.feed.read(0, 100)
    assert [row.entry.kind for row in rows].count(FeedKind.SUBSCRIPTION_DISABLED) == 1
    assert [(await parts.delivery(claim)).status for claim in claims] == [Status.DEAD] * 3


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
