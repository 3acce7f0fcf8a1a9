"""What is claimed, and for how long the store is left alone."""

from datetime import timedelta

from hub.dispatch.fetching import DELETED_LANE_ROOM, policy_of
from hub.stores.base import LanePolicy
from tests.api_support import Api
from tests.hub.dispatch.hanging import turn
from tests.hub.dispatch.parts import Parts, outage
from tests.receivers import Receiver


async def test_a_lane_is_claimed_from_as_its_subscription_allows(parts: Parts) -> None:
    subscription = await parts.subscribe(max_in_flight=3, rate_limit={"per_second": 5.0})
    assert policy_of(parts.catalogue, subscription.id) == LanePolicy(3, 5.0, revision=parts.catalogue.version)


async def test_what_is_for_a_disabled_subscription_is_held(parts: Parts) -> None:
    subscription = await parts.subscribe(enabled=False)
    assert policy_of(parts.catalogue, subscription.id) is None


async def test_what_is_for_a_deleted_subscription_is_claimed_to_be_cancelled(parts: Parts) -> None:
    policy = policy_of(parts.catalogue, "sub_gone")
    assert policy == LanePolicy(DELETED_LANE_ROOM, revision=parts.catalogue.version)


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
