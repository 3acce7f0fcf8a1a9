"""What an attempt's outcome makes of its delivery."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import orjson
import pytest

from channels.base import Receipt, SendFailed
from hub.dispatch.transitions import (
    AttemptResult,
    Skipped,
    Timing,
    Unknown,
    cancel,
    reason_to_skip,
    release,
    replay,
    settle,
    skip,
)
from hub.models import Cause, Delivery, Event, FeedKind, Outcome, Status
from hub.stores.base import Claim, HealthMark, Result
from hub.testing.clock import START

SCHEDULE = (5.0, 30.0)


def claim(
    attempt: int = 1,
    *,
    base: int = 0,
    spared: float = 0.0,
    expires_in: float | None = None,
    checkpoint: str | None = None,
) -> Claim:
    event = Event(
        id="evt_1",
        tenant="acme",
        type="order.created",
        source="shop",
        time=START,
        data=b"{}",
        accepted_at=START,
        expires_at=None if expires_in is None else START + timedelta(seconds=expires_in),
    )
    delivery = Delivery(
        id="dlv_1",
        tenant="acme",
        event_id="evt_1",
        event_type="order.created",
        subscription_id="sub_1",
        channel="webhook",
        status=Status.SENDING,
        attempt_count=attempt,
        schedule_base=base,
        steps_spared=spared,
        token=7,
        checkpoint=checkpoint,
        created_at=START,
        updated_at=START,
    )
    return Claim(delivery, event, Cause.AUTOMATIC, START)


def settled(tried: AttemptResult, attempt: int = 1, **more: object) -> Result:
    timing = Timing(START, START + timedelta(seconds=1), 1_000)
    return settle(claim(attempt, **more), tried, timing, SCHEDULE, Random(3))  # type: ignore[arg-type] # kinds of any type


def wait(result: Result) -> float:
    assert result.delivery.next_attempt_at is not None
    return (result.delivery.next_attempt_at - (START + timedelta(seconds=1))).total_seconds()


def kinds(result: Result) -> list[FeedKind]:
    return [entry.kind for entry in result.feed]


def test_a_receipt_delivers() -> None:
    result = settled(Receipt(204, "thanks"))
    assert result.delivery.status is Status.DELIVERED
    assert result.delivery.token == 7
    assert result.attempt is not None
    assert (result.attempt.outcome, result.attempt.status_code) == (Outcome.SUCCEEDED, 204)
    assert kinds(result) == [FeedKind.DELIVERY_ATTEMPTED, FeedKind.DELIVERY_DELIVERED]


@pytest.mark.parametrize(("attempt", "scheduled"), [(1, 5.0), (2, 30.0)])
def test_a_failure_waits_as_scheduled_with_a_fifth_of_jitter(attempt: int, scheduled: float) -> None:
    result = settled(SendFailed("HTTP 500", status_code=500), attempt)
    assert result.delivery.status is Status.PENDING
    assert 0.8 * scheduled <= wait(result) <= 1.2 * scheduled
    assert kinds(result) == [FeedKind.DELIVERY_ATTEMPTED]


def test_retry_after_is_obeyed_exactly_and_capped_at_a_day() -> None:
    assert wait(settled(SendFailed("HTTP 429", retry_after=120, status_code=429))) == 120
    assert wait(settled(SendFailed("HTTP 503", retry_after=1e20, status_code=503))) == 86_400


def test_a_target_that_fails_cannot_shorten_its_schedule() -> None:
    busy = SendFailed("HTTP 503", retry_after=1, status_code=503)
    assert 4 <= wait(settled(busy)) <= 6
    assert settled(busy).delivery.steps_spared == 0


def test_a_shorter_wait_uses_up_a_part_of_its_step() -> None:
    slow = SendFailed("HTTP 429", retry_after=1, status_code=429)
    result = settled(slow)
    for attempt in range(2, 36):
        assert (result.delivery.status, wait(result)) == (Status.PENDING, 1), attempt
        result = settled(slow, attempt, spared=result.delivery.steps_spared)
    spared = result.delivery.steps_spared
    assert settled(slow, 36, spared=spared).delivery.status is Status.DEAD, "both steps have passed by now"
    assert replay(result.delivery, START).delivery.steps_spared == 0


def test_a_delivery_has_two_hundred_attempts_at_most_and_as_many_after_a_replay() -> None:
    slow = SendFailed("HTTP 429", retry_after=0.001, status_code=429)
    assert settled(slow, 199, spared=198.0).delivery.status is Status.PENDING
    ended = settled(slow, 200, spared=199.0).delivery
    assert (ended.status, ended.reason) == (Status.DEAD, "gave up after 200 attempts: HTTP 429")
    assert settled(slow, 201, base=200).delivery.status is Status.PENDING


def test_the_end_of_the_schedule_is_a_dead_letter_with_a_reason() -> None:
    result = settled(SendFailed("HTTP 500", status_code=500), attempt=3)
    assert result.delivery.status is Status.DEAD
    assert "attempt 3" in (result.delivery.reason or "")
    assert "HTTP 500" in (result.delivery.reason or "")
    assert kinds(result) == [FeedKind.DELIVERY_ATTEMPTED, FeedKind.DELIVERY_DEAD]


@pytest.mark.parametrize("failure", [SendFailed("bad address", permanent=True), SendFailed("gone", status_code=410)])
def test_a_permanent_failure_and_410_die_at_once(failure: SendFailed) -> None:
    result = settled(failure)
    assert (result.delivery.status, result.delivery.reason) == (Status.DEAD, failure.detail)


def test_an_unknown_attempt_is_tried_again_at_once_and_counts() -> None:
    result = settled(Unknown("lost"))
    assert (result.delivery.status, wait(result)) == (Status.PENDING, 0)
    assert result.attempt is not None
    assert result.attempt.outcome is Outcome.UNKNOWN
    assert settled(Unknown("lost"), attempt=3).delivery.status is Status.DEAD


def test_what_would_expire_before_the_next_attempt_dies_now() -> None:
    result = settled(SendFailed("HTTP 500"), expires_in=3)
    assert result.delivery.status is Status.DEAD
    assert (result.delivery.reason or "").startswith("expired")


def test_a_replay_has_the_whole_schedule_before_it() -> None:
    again = replay(claim(3).delivery, START)
    assert (again.delivery.status, again.delivery.schedule_base, again.cause) == (Status.PENDING, 3, Cause.REPLAY)
    assert settled(SendFailed("HTTP 500"), attempt=4, base=3).delivery.status is Status.PENDING
    assert settled(SendFailed("HTTP 500"), attempt=6, base=3).delivery.status is Status.DEAD


def test_a_checkpoint_is_kept_until_the_message_is_delivered() -> None:
    part = SendFailed("452 for one", checkpoint="b")
    assert settled(part).delivery.checkpoint == "b"
    for later in (SendFailed("HTTP 500"), Unknown("lost"), SendFailed("no", permanent=True)):
        assert settled(later, checkpoint="a").delivery.checkpoint == "a"
    assert settled(part, checkpoint="a").delivery.checkpoint == "b"
    assert settled(Receipt(250), checkpoint="a").delivery.checkpoint is None


def test_a_target_that_took_a_part_works() -> None:
    assert settled(SendFailed("452 for one", checkpoint="b")).health_mark is HealthMark.GOOD
    assert settled(SendFailed("no answer"), checkpoint="b").health_mark is HealthMark.BAD


def test_a_replay_goes_on_with_what_is_missing_and_sends_what_was_delivered_whole() -> None:
    delivery = claim(checkpoint="a").delivery
    assert replay(delivery.model_copy(update={"status": Status.DEAD}), START).delivery.checkpoint == "a"
    assert replay(delivery.model_copy(update={"status": Status.DELIVERED}), START).delivery.checkpoint is None


def test_what_is_not_tried_gives_its_attempt_back() -> None:
    assert release(claim(2), START).delivery.attempt_count == 1
    skipped = skip(claim(2), Skipped(Status.CANCELLED, "the event was cancelled"), START)
    assert skipped.delivery.attempt_count == 1
    assert kinds(skipped) == [FeedKind.DELIVERY_CANCELLED]


def test_the_feed_shows_the_attempt_without_its_body() -> None:
    shown = orjson.loads(settled(SendFailed("HTTP 500", status_code=500, response_body="secret")).feed[0].data)
    assert shown["attempt"]["status_code"] == 500
    assert "response_body" not in shown["attempt"]
    assert "token" not in shown
    assert "tenant" not in shown


def test_a_cancelled_delivery_says_why() -> None:
    result = cancel(claim().delivery, "cancelled on request", START)
    assert (result.delivery.status, result.delivery.reason) == (Status.CANCELLED, "cancelled on request")


@pytest.mark.parametrize(
    ("tried", "mark"),
    [
        (Receipt(), HealthMark.GOOD),
        (SendFailed("answered 500", status_code=500), HealthMark.BAD),
        (SendFailed("refused the connection"), HealthMark.BAD),
        (SendFailed("answered 429", status_code=429), HealthMark.GOOD),
        (SendFailed("no such mailbox", permanent=True), HealthMark.NONE),
        (Unknown("the process stopped"), HealthMark.NONE),
    ],
)
def test_an_attempt_says_whether_its_target_is_in_trouble(tried: AttemptResult, mark: HealthMark) -> None:
    assert settled(tried).health_mark is mark


def test_429_pauses_the_lane_for_as_long_as_was_asked_but_for_no_more_than_five_minutes() -> None:
    asked = [None, 30.0, 86_400.0]
    pauses = [settled(SendFailed("slow down", status_code=429, retry_after=seconds)).pause_seconds for seconds in asked]
    assert pauses == [None, 30.0, 300.0]
    assert settled(SendFailed("busy", status_code=503, retry_after=30.0)).pause_seconds is None


def test_an_event_that_is_damaged_is_never_sent() -> None:
    damaged = replace(claim(), damage="the stored event is not what was accepted")
    skipped = reason_to_skip(damaged, lambda: damaged.claimed_at)
    assert skipped is not None
    assert (skipped.status, skipped.reason) == (Status.DEAD, "the stored event is not what was accepted")
