"""What is claimed, and for how long the store is left alone."""

from hub.dispatch.fetching import DELETED_LANE_ROOM, policy_of
from hub.stores.base import LanePolicy
from tests.hub.dispatch.parts import Parts


async def test_a_lane_is_claimed_from_as_its_subscription_allows(parts: Parts) -> None:
    subscription = await parts.subscribe(max_in_flight=3, rate_limit={"per_second": 5.0})
    assert policy_of(parts.catalogue, subscription.id) == LanePolicy(3, 5.0, revision=parts.catalogue.version)


async def test_what_is_for_a_disabled_subscription_is_held(parts: Parts) -> None:
    subscription = await parts.subscribe(enabled=False)
    assert policy_of(parts.catalogue, subscription.id) is None


async def test_what_is_for_a_deleted_subscription_is_claimed_to_be_cancelled(parts: Parts) -> None:
    policy = policy_of(parts.catalogue, "sub_gone")
    assert policy == LanePolicy(DELETED_LANE_ROOM, revision=parts.catalogue.version)
