"""How healthy a subscription's target is, judged by the attempts in its lane."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from hub.catalogue.subscriptions import Subscription
from hub.stores.base import BreakerState, LaneHealth

_HEALTHY = LaneHealth()


class Health(BaseModel):
    """In state `open`, after too many failures in a row, nothing is sent until `open_until`; then one delivery is."""

    state: Literal["healthy", "failing", "open", "disabled"]
    consecutive_failures: int
    open_until: datetime | None = None


def health_of(subscription: Subscription, lane: LaneHealth | None) -> Health:
    """`lane` is what `Queue.health` gives for the subscription; None when it gives nothing."""
    lane = lane or _HEALTHY
    if not subscription.spec.enabled:
        return Health(state="disabled", consecutive_failures=lane.failures)
    if lane.breaker is BreakerState.OPEN:
        return Health(state="open", consecutive_failures=lane.failures, open_until=lane.open_until)
    healthy = lane.failures == 0 and lane.breaker is BreakerState.CLOSED
    return Health(state="healthy" if healthy else "failing", consecutive_failures=lane.failures)
