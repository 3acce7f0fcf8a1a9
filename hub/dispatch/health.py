"""How a subscription's target fares, as its lane has seen it."""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel

from hub.clock import Clock
from hub.dispatch.breaker import BreakerState
from hub.dispatch.lanes import Lane
from hub.models import Instant
from hub.subscriptions import Subscription


class Health(BaseModel):
    """`open`: after too many failures in a row nothing is sent until `open_until`, then one delivery is tried."""

    state: Literal["healthy", "failing", "open", "disabled"]
    consecutive_failures: int
    open_until: Instant | None = None


def health_of(subscription: Subscription, lane: Lane | None, clock: Clock) -> Health:
    """A lane that is idle and untroubled may be forgotten: None."""
    failures = lane.breaker.failures if lane else 0
    if not subscription.spec.enabled:
        return Health(state="disabled", consecutive_failures=failures)
    if lane is None or (failures == 0 and lane.breaker.closed):
        return Health(state="healthy", consecutive_failures=0)
    rest = lane.breaker.open_until - clock.monotonic()
    if lane.breaker.state is BreakerState.OPEN and rest > 0:
        until = clock.now() + timedelta(seconds=rest)
        return Health(state="open", consecutive_failures=failures, open_until=until)
    return Health(state="failing", consecutive_failures=failures)
