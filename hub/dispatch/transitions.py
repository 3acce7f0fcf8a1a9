"""The transitions of a delivery, as pure functions; `settle` is the one place that decides about retries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil
from random import Random

import orjson

from channels.base import Receipt, SendFailed
from hub.models import Attempt, Cause, Delivery, FeedEntry, FeedKind, Outcome, Status
from hub.retry import next_wait
from hub.stores.base import Claim, HealthMark, Result

RESPONSE_BODY_CHARS = 4_096
ERROR_CHARS = 1_000
LONGEST_PAUSE_SECONDS = 300.0
"""How long one answer 429 may hold back a whole lane; its own delivery waits as long as was asked."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The process stopped between sending and recording: the target may have taken it or not."""

    detail: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing was tried, and nothing will be: the delivery ends in `status` for this reason."""

    status: Status
    reason: str


AttemptResult = Receipt | SendFailed | Unknown

ENDINGS = {
    Status.DELIVERED: FeedKind.DELIVERY_DELIVERED,
    Status.DEAD: FeedKind.DELIVERY_DEAD,
    Status.CANCELLED: FeedKind.DELIVERY_CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Timing:
    """When an attempt began, and when it was known to have ended; None when nobody knows how long it took."""

    started_at: datetime
    ended_at: datetime
    duration_ms: int | None


def settle(claim: Claim, tried: AttemptResult, timing: Timing, schedule: Sequence[float], random: Random) -> Result:
    """The next state of a claimed delivery after one attempt, with the attempt and its feed entries."""
    attempt = _attempt(claim, tried, timing)
    status, reason, due_at = _next_state(claim, tried, timing.ended_at, schedule, random)
    delivery = claim.delivery.model_copy(
        update={"status": status, "reason": reason, "next_attempt_at": due_at, "updated_at": timing.ended_at}
    )
    entries = [attempted(delivery, attempt)]
    if status in ENDINGS:
        entries.append(entry(ENDINGS[status], delivery))
    sign, pause_until = _health(tried, timing.ended_at)
    return Result(delivery, attempt, tuple(entries), claim.cause, sign, pause_until)


def skip(claim: Claim, skipped: Skipped, now: datetime) -> Result:
    """The next state of a claimed delivery that is not tried: the claim's attempt is taken back."""
    delivery = claim.delivery.model_copy(
        update={
            "status": skipped.status,
            "reason": skipped.reason,
            "attempt_count": claim.delivery.attempt_count - 1,
            "next_attempt_at": None,
            "updated_at": now,
        }
    )
    return Result(delivery, None, (entry(ENDINGS[skipped.status], delivery),), claim.cause)


def release(claim: Claim, now: datetime) -> Result:
    """Give a claim back untried, due at once."""
    delivery = claim.delivery.model_copy(
        update={
            "status": Status.PENDING,
            "attempt_count": claim.delivery.attempt_count - 1,
            "next_attempt_at": now,
            "updated_at": now,
        }
    )
    return Result(delivery, cause=claim.cause)


def cancel(delivery: Delivery, reason: str, now: datetime) -> Result:
    """End a delivery that has not been sent."""
    ended = delivery.model_copy(
        update={"status": Status.CANCELLED, "reason": reason, "next_attempt_at": None, "updated_at": now}
    )
    return Result(ended, feed=(entry(FeedKind.DELIVERY_CANCELLED, ended),))


def replay(delivery: Delivery, now: datetime) -> Result:
    """Send again: due at once, with the whole retry schedule before it; attempts go on being numbered."""
    again = delivery.model_copy(
        update={
            "status": Status.PENDING,
            "reason": "replay requested",
            "schedule_base": delivery.attempt_count,
            "next_attempt_at": now,
            "updated_at": now,
        }
    )
    return Result(again, cause=Cause.REPLAY)


def entry(kind: FeedKind, delivery: Delivery, data: bytes | None = None) -> FeedEntry:
    """A feed entry that shows this delivery."""
    return FeedEntry(
        tenant=delivery.tenant,
        kind=kind,
        data=data or delivery.model_dump_json().encode(),
        event_type=delivery.event_type,
        event_id=delivery.event_id,
        subscription_id=delivery.subscription_id,
        status=delivery.status,
    )


def attempted(delivery: Delivery, attempt: Attempt) -> FeedEntry:
    """The delivery as it stands after an attempt, with that attempt; bodies are left to the REST API."""
    shown = attempt.model_dump(mode="json", exclude={"response_body"})
    data = orjson.dumps({**delivery.model_dump(mode="json"), "attempt": shown})
    return entry(FeedKind.DELIVERY_ATTEMPTED, delivery, data)


def _attempt(claim: Claim, tried: AttemptResult, timing: Timing) -> Attempt:
    outcome, error = Outcome.SUCCEEDED, None
    if isinstance(tried, SendFailed):
        outcome, error = Outcome.FAILED, tried.detail[:ERROR_CHARS]
    elif isinstance(tried, Unknown):
        outcome, error = Outcome.UNKNOWN, tried.detail
    answered = None if isinstance(tried, Unknown) else tried
    body = answered.response_body if answered else None
    return Attempt(
        number=claim.delivery.attempt_count,
        cause=claim.cause,
        started_at=timing.started_at,
        duration_ms=timing.duration_ms,
        outcome=outcome,
        status_code=answered.status_code if answered else None,
        error=error,
        response_body=body[:RESPONSE_BODY_CHARS] if body else None,
    )


def _health(tried: AttemptResult, now: datetime) -> tuple[HealthMark, datetime | None]:
    """What an attempt says of its target, and until when the target wants no other."""
    if isinstance(tried, Receipt):
        return HealthMark.GOOD, None
    if isinstance(tried, Unknown) or tried.permanent:
        # A message that can never be taken, such as to a mailbox that is not there, is not a target in trouble.
        return HealthMark.NONE, None
    if tried.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        return HealthMark.BAD, None
    pause = min(tried.retry_after or 0.0, LONGEST_PAUSE_SECONDS)
    return HealthMark.GOOD, now + timedelta(seconds=pause) if pause > 0 else None


def _next_state(
    claim: Claim, tried: AttemptResult, now: datetime, schedule: Sequence[float], random: Random
) -> tuple[Status, str | None, datetime | None]:
    if isinstance(tried, Receipt):
        return Status.DELIVERED, None, None
    if isinstance(tried, SendFailed) and (tried.permanent or tried.status_code == HTTPStatus.GONE):
        return Status.DEAD, tried.detail[:ERROR_CHARS], None
    detail = tried.detail[:ERROR_CHARS]
    asked = tried.retry_after if isinstance(tried, SendFailed) else None
    number = claim.delivery.attempt_count - claim.delivery.schedule_base
    wait = next_wait(schedule, number, retry_after=asked, random=random.random)
    if wait is None:
        return Status.DEAD, f"gave up after attempt {number} of the retry schedule: {detail}", None
    if isinstance(tried, Unknown):
        wait = 0.0
    due_at = now + timedelta(milliseconds=ceil(wait * 1000))
    if claim.event.expires_at is not None and due_at >= claim.event.expires_at:
        return Status.DEAD, f"expired before the next attempt: {detail}", None
    return Status.PENDING, detail, due_at
