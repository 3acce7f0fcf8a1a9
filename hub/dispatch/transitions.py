"""The transitions of a delivery, as pure functions; `settle` is the one place that decides about retries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil
from random import Random

import orjson

from channels.base import ChannelUnavailable, Receipt, SendFailed
from hub.models import Attempt, Cause, Delivery, FeedEntry, FeedKind, Outcome, Status
from hub.retry import MOST_ATTEMPTS, Wait, next_wait
from hub.stores.base import Claim, HealthMark, Result

RESPONSE_BODY_CHARS = 4_096
ERROR_CHARS = 1_000
EVENT_CANCELLED = "the event was cancelled"
_EXPIRED = "expired before it could be sent"
LONGEST_PAUSE_SECONDS = 300.0
"""How long one answer 429 may hold back a whole lane; the delivery itself waits for as long as the target asked."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The process stopped between sending and recording: the target may have taken the message or not."""

    detail: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """No attempt is made: the delivery ends in `status` for this reason."""

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
    """When an attempt began, and when it was known to have ended; `duration_ms` is None when its
    duration is not known."""

    started_at: datetime
    ended_at: datetime
    duration_ms: int | None


def settle(
    claim: Claim,
    attempted: AttemptResult,
    timing: Timing,
    schedule: Sequence[float],
    random: Random,
    address: str | None = None,
) -> Result:
    """The next state of a claimed delivery after one attempt to this address, with the attempt and its feed entries.

    Example:

        settle(claim, Receipt(204), timing, schedule, random).delivery.status  # delivered
        settle(claim, SendFailed("HTTP 500"), timing, (5.0, 30.0), random).delivery.next_attempt_at  # in 4 to 6 s
        settle(claim, SendFailed("HTTP 500"), timing, (), random).delivery.status  # dead
    """
    attempt = _attempt(claim, attempted, timing)
    delivery = claim.delivery.model_copy(
        update={
            **_next_state(claim, attempted, timing.ended_at, schedule, random),
            "checkpoint": _checkpoint(claim.delivery, attempted),
            "updated_at": timing.ended_at,
        }
    )
    feed = [attempted_entry(delivery, attempt)]
    if delivery.status in ENDINGS:
        feed.append(entry(ENDINGS[delivery.status], delivery))
    health_mark, pause_seconds = _health(attempted)
    return Result(delivery, attempt, tuple(feed), claim.cause, health_mark, pause_seconds, address)


def reason_to_skip(claim: Claim, time_of_day: Callable[[], datetime]) -> Skipped | None:
    """Why a claimed delivery must not be sent; None when it may be. `time_of_day` is asked only where that depends on
    it."""
    event = claim.event
    if claim.damage is not None:
        return Skipped(Status.DEAD, claim.damage)
    if event.cancelled_at is not None:
        return Skipped(Status.CANCELLED, EVENT_CANCELLED)
    if event.expires_at is not None and event.expires_at <= time_of_day():
        return Skipped(Status.DEAD, _EXPIRED)
    return None


def skip(claim: Claim, skipped: Skipped, now: datetime) -> Result:
    """End a claimed delivery without an attempt; the attempt that the claim counted is taken back."""
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
    """Give a claim back, due at once; the attempt that the claim counted is taken back."""
    delivery = claim.delivery.model_copy(
        update={
            "status": Status.PENDING,
            "attempt_count": claim.delivery.attempt_count - 1,
            "next_attempt_at": now,
            "updated_at": now,
        }
    )
    return Result(delivery, cause=claim.cause)


def hold(claim: Claim, unavailable: ChannelUnavailable, now: datetime, seconds: float, address: str) -> Result:
    """Give a claim back because its channel can send nothing, and leave its lane alone for `seconds`
    while its target is at this address.

    The attempt that the claim counted is taken back.
    """
    released = release(claim, now)
    delivery = released.delivery.model_copy(update={"reason": unavailable.detail[:ERROR_CHARS]})
    return replace(released, delivery=delivery, pause_seconds=seconds, address=address)


def cancel(delivery: Delivery, reason: str, now: datetime) -> Result:
    """End a delivery that has not been sent."""
    ended = delivery.model_copy(
        update={"status": Status.CANCELLED, "reason": reason, "next_attempt_at": None, "updated_at": now}
    )
    return Result(ended, feed=(entry(FeedKind.DELIVERY_CANCELLED, ended),))


def expire(delivery: Delivery, now: datetime) -> Result:
    """End a pending delivery whose event has expired."""
    ended = delivery.model_copy(
        update={"status": Status.DEAD, "reason": _EXPIRED, "next_attempt_at": None, "updated_at": now}
    )
    return Result(ended, feed=(entry(FeedKind.DELIVERY_DEAD, ended),))


def cancel_instead(result: Result) -> Result:
    """The same result with the delivery cancelled: its event was cancelled meanwhile, so it must not wait again."""
    cancelled = cancel(result.delivery, EVENT_CANCELLED, result.delivery.updated_at)
    return replace(result, delivery=cancelled.delivery, feed=(*result.feed, *cancelled.feed))


def replay(delivery: Delivery, now: datetime) -> Result:
    """Send again: due at once, with the whole retry schedule ahead of it. Attempt numbers continue.

    A dead delivery keeps its checkpoint, so that a replay goes on with what is missing. What was delivered is sent
    whole.
    """
    again = delivery.model_copy(
        update={
            "status": Status.PENDING,
            "reason": "replay requested",
            "schedule_base": delivery.attempt_count,
            "steps_spared": 0.0,
            "checkpoint": None if delivery.status is Status.DELIVERED else delivery.checkpoint,
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


def attempted_entry(delivery: Delivery, attempt: Attempt) -> FeedEntry:
    """A feed entry that shows the delivery after an attempt, with the attempt; its body is left to the REST API."""
    shown = attempt.model_dump(mode="json", exclude={"response_body"})
    data = orjson.dumps({**delivery.model_dump(mode="json"), "attempt": shown})
    return entry(FeedKind.DELIVERY_ATTEMPTED, delivery, data)


def _attempt(claim: Claim, attempted: AttemptResult, timing: Timing) -> Attempt:
    outcome, error = Outcome.SUCCEEDED, None
    if isinstance(attempted, SendFailed):
        outcome, error = Outcome.FAILED, attempted.detail[:ERROR_CHARS]
    elif isinstance(attempted, Unknown):
        outcome, error = Outcome.UNKNOWN, attempted.detail
    answer = None if isinstance(attempted, Unknown) else attempted
    body = answer.response_body if answer else None
    return Attempt(
        number=claim.delivery.attempt_count,
        cause=claim.cause,
        started_at=timing.started_at,
        duration_ms=timing.duration_ms,
        outcome=outcome,
        status_code=answer.status_code if answer else None,
        error=error,
        response_body=body[:RESPONSE_BODY_CHARS] if body else None,
    )


def _checkpoint(delivery: Delivery, attempted: AttemptResult) -> str | None:
    """What a next attempt, if there is one, need not do again."""
    if isinstance(attempted, Receipt):
        return None
    given = attempted.checkpoint if isinstance(attempted, SendFailed) else None
    return delivery.checkpoint if given is None else given


def _health(attempted: AttemptResult) -> tuple[HealthMark, float | None]:
    """What an attempt says of its target's health, and for how many seconds the target wants no other attempt."""
    if isinstance(attempted, Receipt):
        return HealthMark.GOOD, None
    if isinstance(attempted, Unknown) or attempted.permanent:
        # A message that the target can never take, such as one to a mailbox that does not exist, says nothing of the
        # target itself. If it counted, one bad address would open the breaker for all others.
        return HealthMark.NONE, None
    if attempted.checkpoint is not None:
        # The target took a part of the message, or judged its parts one by one.
        return HealthMark.GOOD, None
    if attempted.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        return HealthMark.BAD, None
    # A target that answers 429 works and says how fast. Its lane is paused, and the attempt speaks for its health.
    pause = min(attempted.retry_after or 0.0, LONGEST_PAUSE_SECONDS)
    return HealthMark.GOOD, pause if pause > 0 else None


def _next_state(
    claim: Claim, attempted: AttemptResult, now: datetime, schedule: Sequence[float], random: Random
) -> Mapping[str, object]:
    """What an attempt changes of its delivery's place in its life."""
    if isinstance(attempted, Receipt):
        return _ended(Status.DELIVERED, None)
    detail = attempted.detail[:ERROR_CHARS]
    if isinstance(attempted, SendFailed) and (attempted.permanent or attempted.status_code == HTTPStatus.GONE):
        return _ended(Status.DEAD, detail)
    number = claim.delivery.attempt_count - claim.delivery.schedule_base
    if number >= MOST_ATTEMPTS:
        return _ended(Status.DEAD, f"gave up after {number} attempts: {detail}")
    wait = _wait(claim.delivery, attempted, number, schedule, random)
    if wait is None:
        return _ended(Status.DEAD, f"gave up after attempt {number} of the retry schedule: {detail}")
    # Rounded up, because stores keep milliseconds and a `Retry-After` must not be cut short.
    due_at = now + timedelta(milliseconds=ceil(wait.seconds * 1000))
    # Dead at once and not when it is due: the publisher learns the outcome as soon as it is certain.
    if claim.event.expires_at is not None and due_at >= claim.event.expires_at:
        return _ended(Status.DEAD, f"expired before the next attempt: {detail}")
    spared = number - wait.steps
    return {"status": Status.PENDING, "reason": detail, "next_attempt_at": due_at, "steps_spared": spared}


def _ended(status: Status, reason: str | None) -> Mapping[str, object]:
    return {"status": status, "reason": reason, "next_attempt_at": None}


def _wait(
    delivery: Delivery, attempted: SendFailed | Unknown, number: int, schedule: Sequence[float], random: Random
) -> Wait | None:
    """The wait after failed attempt `number` of the schedule, from 1."""
    steps = number - 1 - delivery.steps_spared
    if isinstance(attempted, SendFailed):
        throttled = attempted.status_code == HTTPStatus.TOO_MANY_REQUESTS
        asked = attempted.retry_after
        return next_wait(schedule, steps, retry_after=asked, throttled=throttled, random=random.random)
    # The process failed and not the target, so there is nothing to wait for; the attempt uses up its step all the same,
    # so that a message which kills processes comes to an end.
    wait = next_wait(schedule, steps, random=random.random)
    return None if wait is None else replace(wait, seconds=0.0)
