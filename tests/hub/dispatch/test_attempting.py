"""What is done with a claim: it is sent once, skipped, or given back, and its room is always free again."""

import asyncio

import pytest
from structlog.testing import capture_logs

from channels.base import ChannelUnavailable, Message, Receipt
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.keys.model import Principal
from hub.catalogue.subscriptions import SubscriptionSpec
from hub.catalogue.subscriptions.service import Subscriptions
from hub.dispatch.holds import FIRST_PAUSE_SECONDS
from hub.models import Scope, Status
from hub.stores.base import Claim
from hub.testing.receivers import Receiver
from hub.testing.stores.samples import batch, entry, event
from tests.api_support import Api
from tests.hub.dispatch.parts import Parts


async def attempt(parts: Parts, claim: Claim, *, catalogue_up_to_date: bool = True) -> None:
    """Return when the attempt has ended."""
    parts.attempter.start(claim, catalogue_up_to_date=catalogue_up_to_date)
    await asyncio.wait(parts.attempter._attempts)
    assert parts.ended == [claim.delivery.subscription_id]
    assert parts.attempter.claims() == []


async def test_a_claim_is_sent_and_its_result_recorded(parts: Parts) -> None:
    claim = await parts.claim((await parts.subscribe()).id)
    await attempt(parts, claim)
    assert (await parts.delivery(claim)).status is Status.DELIVERED
    assert await parts.outcomes(claim) == ["succeeded"]


async def test_what_is_for_a_deleted_subscription_is_cancelled_without_an_attempt(parts: Parts) -> None:
    claim = await parts.claim("sub_gone")
    await attempt(parts, claim)
    delivery = await parts.delivery(claim)
    assert (delivery.status, delivery.reason) == (Status.CANCELLED, "the subscription was deleted")
    assert (delivery.attempt_count, await parts.outcomes(claim)) == (0, [])


@pytest.mark.parametrize("why", ["unknown", "disabled", "stopping"])
async def test_what_may_not_be_sent_now_is_given_back_uncounted(parts: Parts, why: str) -> None:
    claim = await parts.claim("sub_new" if why == "unknown" else (await parts.subscribe(enabled=why != "disabled")).id)
    if why == "stopping":
        parts.attempter.stop_sending()
    await attempt(parts, claim, catalogue_up_to_date=why != "unknown")
    delivery = await parts.delivery(claim)
    assert (delivery.status, delivery.attempt_count) == (Status.PENDING, 0)
    assert parts.notified == [(claim.delivery.subscription_id, parts.clock.now())]


async def test_what_a_channel_cannot_send_at_all_is_given_back_uncounted_with_the_reason(parts: Parts) -> None:
    async def refuse(message: Message) -> Receipt:
        raise ChannelUnavailable("the key is refused", status_code=401)

    parts.channel.behaviour = refuse
    subscription = await parts.subscribe(retry_schedule=[])
    claim = await parts.claim(subscription.id)
    await attempt(parts, claim)
    delivery = await parts.delivery(claim)
    assert (delivery.status, delivery.reason) == (Status.PENDING, "the key is refused")
    assert (delivery.attempt_count, await parts.outcomes(claim)) == (0, [])
    assert list(await parts.claims(subscription.id)) == [], "the provider is left alone for a while"
    parts.clock.advance(FIRST_PAUSE_SECONDS)
    (again,) = await parts.claims(subscription.id)
    assert again.delivery.attempt_count == 1


async def test_stopping_ends_what_hangs_as_unknown(parts: Parts) -> None:
    sending = asyncio.Event()

    async def hang(message: Message) -> Receipt:
        sending.set()
        await asyncio.Event().wait()
        raise AssertionError

    parts.channel.behaviour = hang
    claim = await parts.claim((await parts.subscribe()).id)
    parts.attempter.start(claim, catalogue_up_to_date=True)
    await sending.wait()
    assert list(parts.attempter.claims()) == [claim]
    await parts.attempter.stop(0)
    assert await parts.outcomes(claim) == ["unknown"]
    assert (await parts.delivery(claim)).reason == "the hub was stopped before the target answered"
    assert parts.ended == [claim.delivery.subscription_id]


async def test_a_defect_in_the_hub_is_logged_and_frees_the_room(parts: Parts) -> None:
    claim = await parts.claim((await parts.subscribe()).id)
    del parts.attempter._sender
    with capture_logs() as lines:
        await attempt(parts, claim)
    assert [(line["event"], line["delivery_id"]) for line in lines] == [("attempt.crashed", claim.delivery.id)]
    assert (await parts.delivery(claim)).status is Status.SENDING, "its lease runs out"


async def test_a_channel_that_raises_anything_is_logged_and_counts_as_a_failure(parts: Parts) -> None:
    async def fail(message: Message) -> Receipt:
        raise ZeroDivisionError

    parts.channel.behaviour = fail
    claim = await parts.claim((await parts.subscribe()).id)
    with capture_logs() as lines:
        await attempt(parts, claim)
    crashed, attempted = lines
    assert (crashed["event"], crashed["channel"]) == ("channel.crashed", "scripted")
    assert (attempted["event"], attempted["outcome"]) == ("delivery.attempted", "failed")


async def test_a_subscription_whose_news_has_not_come_yet_is_not_taken_for_deleted(api: Api) -> None:
    """Another process made it and accepted an event for it, and its signal for the lane was quicker."""
    codec = api.services.subscriptions._codec
    elsewhere = Catalogue(api.store.records, codec.decode)
    await elsewhere.refresh()
    operator = Principal("key_1", "default", frozenset({Scope.ADMIN}))
    async with Receiver() as receiver:
        spec = SubscriptionSpec(name="new", event_types=("*",), channel="webhook", target={"url": receiver.url})
        made = await Subscriptions(elsewhere, codec, api.clock, api.process.core.compute).create(operator, spec)
        new = event(tenant="default")
        await api.store.intake.accept(
            batch(entry(new, [made.id]), tenant="default", catalogue_version=elsewhere.version)
        )
        api.dispatcher.notify({made.id: None})
        await api.deliveries("delivered")
        assert len(receiver.requests) == 1
