"""What is held and why, from the settings of the process and from what providers answer."""

from structlog.testing import capture_logs

from channels.base import ChannelUnavailable
from hub.dispatch.holds import Holds
from tests.hub.dispatch.parts import Parts, ScriptedChannel, take

REFUSED = ChannelUnavailable("the key is refused")


async def test_the_reason_is_that_of_the_subscription_first(parts: Parts) -> None:
    holds = parts.sender.holds
    enabled, disabled = await parts.subscribe(), await parts.subscribe(enabled=False)
    assert (holds.reason(enabled), holds.unavailable(enabled)) == (None, None)
    parts.channel.missing = "HUB_SCRIPTED_KEY is not set"
    assert holds.reason(enabled) == "HUB_SCRIPTED_KEY is not set"
    assert holds.reason(disabled) == "the subscription is disabled: disabled on request"
    assert holds.unavailable(disabled) == "HUB_SCRIPTED_KEY is not set"


async def test_a_refusal_is_forgotten_when_a_message_is_taken_or_the_subscription_changes(parts: Parts) -> None:
    holds = parts.sender.holds
    subscription = await parts.subscribe()
    with capture_logs() as lines:
        for _ in range(3):
            holds.learn(subscription, REFUSED)
        assert holds.reason(subscription) == "the key is refused"
        for _ in range(2):
            holds.learn(subscription, None)
        assert holds.reason(subscription) is None
    assert [line["event"] for line in lines] == ["subscription.held", "subscription.released"]
    holds.learn(subscription, REFUSED)
    await parts.subscriptions.disable(subscription.tenant, subscription.id, "to change it")
    changed = await parts.subscriptions.enable(subscription.tenant, subscription.id)
    assert holds.reason(changed) is None


async def test_warnings_count_the_subscriptions_that_each_reason_holds(parts: Parts) -> None:
    holds = parts.sender.holds
    refused = await parts.subscribe()
    assert holds.warnings(parts.catalogue.all_subscriptions()) == []
    holds.learn(refused, REFUSED)
    assert holds.warnings(parts.catalogue.all_subscriptions()) == [
        "Deliveries of 1 subscription to scripted are held: the key is refused."
    ]
    await parts.subscribe()
    await parts.subscribe(enabled=False)
    parts.channel.missing = "HUB_SCRIPTED_KEY is not set"
    assert holds.warnings(parts.catalogue.all_subscriptions()) == [
        "Deliveries of 2 subscriptions to scripted are held: HUB_SCRIPTED_KEY is not set."
    ]


async def test_a_sandbox_holds_nothing_but_what_is_disabled_and_says_what_it_is(parts: Parts) -> None:
    channel = ScriptedChannel(take)
    channel.missing = "HUB_SCRIPTED_KEY is not set"
    holds = Holds({"scripted": channel}, sandbox=True)
    enabled, disabled = await parts.subscribe(), await parts.subscribe(enabled=False)
    assert holds.reason(enabled) is None
    assert holds.reason(disabled) is not None
    (warning,) = holds.warnings([enabled])
    assert warning.startswith("HUB_SANDBOX is set")
