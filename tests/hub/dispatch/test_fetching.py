"""What is claimed, and for how long the store is left alone."""

from datetime import timedelta

from channels.base import ChannelUnavailable
from hub.dispatch.fetching import DELETED_LANE_ROOM, policy_of
from hub.stores.base import LanePolicy
from hub.testing.receivers import Receiver
from tests.api_support import Api
from tests.hub.dispatch.hanging import turn
from tests.hub.dispatch.parts import Parts, outage


async def test_a_lane_is_claimed_from_as_its_subscription_allows(parts: Parts) -> None:
    subscription = await parts.subscribe(max_in_flight=3, rate_limit={"per_second": 5.0})
    assert policy_of(parts.catalogue, parts.sender.holds, subscription.id) == LanePolicy(
        3, 5.0, subscription.version, subscription.address
    )


async def test_what_is_for_a_disabled_subscription_is_held(parts: Parts) -> None:
    subscription = await parts.subscribe(enabled=False)
    assert policy_of(parts.catalogue, parts.sender.holds, subscription.id) is None


async def test_what_no_setting_allows_to_be_sent_is_held(parts: Parts) -> None:
    subscription = await parts.subscribe()
    parts.channel.missing = "HUB_SCRIPTED_KEY is not set"
    assert policy_of(parts.catalogue, parts.sender.holds, subscription.id) is None


async def test_what_was_refused_is_tried_with_one_delivery_at_a_time(parts: Parts) -> None:
    subscription = await parts.subscribe(max_in_flight=3)
    parts.sender.holds.learn(subscription, ChannelUnavailable("the key is refused"), parts.clock.now())
    policy = policy_of(parts.catalogue, parts.sender.holds, subscription.id)
    assert policy == LanePolicy(1, None, subscription.version, subscription.address)
    parts.sender.holds.learn(subscription, None, parts.clock.now())
    policy = policy_of(parts.catalogue, parts.sender.holds, subscription.id)
    assert policy == LanePolicy(3, None, subscription.version, subscription.address)


async def test_what_is_for_a_deleted_subscription_is_claimed_to_be_cancelled(parts: Parts) -> None:
    policy = policy_of(parts.catalogue, parts.sender.holds, "sub_gone")
    assert policy == LanePolicy(DELETED_LANE_ROOM, None, parts.catalogue.version, "nowhere")


async def test_work_that_cannot_be_claimed_is_claimed_when_the_store_is_back(api: Api) -> None:
    async with Receiver() as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url})
        await api.publish(deliver_at=(api.clock.now() + timedelta(seconds=10)).isoformat())
        await api.services.housekeeping.stop(0)
        with outage(api.store):
            api.clock.advance(10)
            await turn()
            assert api.dispatcher.lanes.in_flight == 0
        await turn()
        assert receiver.requests == [], "the store is left alone for a while"
        api.clock.advance(5)
        await api.deliveries("delivered")
