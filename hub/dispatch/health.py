"""How a subscription's target fares, as its lane has seen it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from hub.catalogue.subscriptions import Subscription
from hub.stores.base import BreakerState, LaneHealth

_UNTROUBLED = LaneHealth()


class Health(BaseModel):
    """`open`: after too many failures in a row nothing is sent until `open_until`, then one delivery is tried."""

    state: Literal["healthy", "failing", "open", "disabled"]
    consecutive_failures: int
    open_until: datetime | None = None


def health_of(subscription: Subscription, lane: LaneHealth | None) -> Health:
    """`lane` is what `Queue.health` tells of the subscription's lane."""
    lane = lane or _UNTROUBLED
    if not subscription.spec.enabled:
        return Health(state="disabled", consecutive_failures=lane.failures)
    if lane.breaker is BreakerState.OPEN:
        return Health(state="open", consecutive_failures=lane.failures, open_until=lane.open_until)
    untroubled = lane.failures == 0 and lane.breaker is BreakerState.CLOSED
    return Health(state="healthy" if untroubled else "failing", consecutive_failures=lane.failures)
