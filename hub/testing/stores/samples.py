"""Sample data for a store, and short forms of what is done with it."""

from collections.abc import Sequence
from typing import Any

from hub.ids import new_id
from hub.models import Attempt, Event, FeedEntry, FeedKind, Outcome, Status, Task, TaskStatus
from hub.stores.base import (
    UNBOUNDED,
    AcceptResult,
    Batch,
    BatchEntry,
    Claim,
    ClaimRequest,
    Idempotency,
    LanePolicy,
    Match,
    NewDelivery,
    Result,
    Store,
)
from hub.testing.clock import START

TENANT = "ten_a"
OTHER = "ten_b"
SUBSCRIPTION = "sub_1"


def event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "id": new_id("evt"),
        "tenant": TENANT,
        "type": "order.created",
        "source": "/shop",
        "time": START,
        "data": b'{"total": "12.00"}',
        "accepted_at": START,
    }
    return Event(**{**fields, **changes})


def entry(
    event: Event,
    subscriptions: Sequence[str] = (),
    *,
    index: int = 0,
    channel: str = "webhook",
    fan_out: Match | None = None,
) -> BatchEntry:
    deliveries = tuple(NewDelivery(new_id("dlv"), subscription, channel) for subscription in subscriptions)
    return BatchEntry(index, event, deliveries, accepted(event), fan_out)


def match(*subscriptions: str, channel: str = "webhook") -> Match:
    """Whom an event is for that fans out; the ids in their order."""
    return Match(tuple((subscription, channel) for subscription in subscriptions or (SUBSCRIPTION,)))


def accepted(event: Event) -> FeedEntry:
    return FeedEntry(event.tenant, FeedKind.EVENT_ACCEPTED, f'{{"id":"{event.id}"}}'.encode(), event.type, event.id)


def batch(*entries: BatchEntry, tenant: str = TENANT, **changes: Any) -> Batch:
    return Batch(tenant, entries, **changes)


def idempotency(key: str = "key", fingerprint: str = "print", seconds: float = 86_400.0) -> Idempotency:
    return Idempotency(key, fingerprint, seconds)


async def publish(
    store: Store, *subscriptions: str, channel: str = "webhook", catalogue_version: int = 0, **changes: Any
) -> Event:
    """Accept one event with a delivery to each of the subscriptions."""
    new = event(**changes)
    given = batch(entry(new, subscriptions, channel=channel), tenant=new.tenant, catalogue_version=catalogue_version)
    answer = await store.intake.accept(given)
    assert [verdict.status for verdict in answer.verdicts] == ["accepted"]
    return new


async def claim(
    store: Store, *lanes: str, limit: int = 100, lease: float = 30.0, policy: LanePolicy = UNBOUNDED
) -> tuple[Claim, ...]:
    lanes = lanes or (SUBSCRIPTION,)
    requests = [ClaimRequest(lane, limit, policy=policy) for lane in lanes]
    return (await store.queue.claim(requests, dict.fromkeys(lanes, lease))).claims


def result(claim: Claim, status: Status, outcome: Outcome = Outcome.SUCCEEDED, **changes: Any) -> Result:
    """The result of a claim whose attempt took 7 ms."""
    delivery = claim.delivery.model_copy(update={"status": status, "updated_at": claim.claimed_at, **changes})
    attempt = Attempt(
        number=delivery.attempt_count,
        cause=claim.cause,
        started_at=claim.claimed_at,
        duration_ms=7,
        outcome=outcome,
        status_code=200 if outcome is Outcome.SUCCEEDED else 500,
    )
    return Result(delivery, attempt, (attempted(claim),))


def attempted(claim: Claim) -> FeedEntry:
    delivery = claim.delivery
    return FeedEntry(
        delivery.tenant,
        FeedKind.DELIVERY_ATTEMPTED,
        b"{}",
        delivery.event_type,
        delivery.event_id,
        delivery.subscription_id,
        Status.SENDING,
    )


def task(**changes: Any) -> Task:
    fields: dict[str, Any] = {
        "id": new_id("tsk"),
        "tenant": TENANT,
        "kind": "export",
        "status": TaskStatus.PENDING,
        "created_at": START,
        "updated_at": START,
    }
    return Task(**{**fields, **changes})


def ids(answer: AcceptResult) -> list[str | None]:
    return [verdict.id for verdict in answer.verdicts]
