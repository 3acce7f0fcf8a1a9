"""Trouble with the store is remembered for a while."""

from hub.dispatch.store_backoff import RECOVERY_SECONDS, StoreBackoff
from hub.errors import Unavailable
from tests.clock import ManualClock


def test_trouble_with_the_store_is_recent_for_a_while() -> None:
    clock = ManualClock()
    backoff = StoreBackoff(clock)
    recent = [backoff.recovering]
    assert (backoff.failed(Unavailable("away", retry_after=3.0)), backoff.failed(Unavailable("away"))) == (3.0, 1.0)
    for wait in (RECOVERY_SECONDS - 0.001, 0.001):
        clock.advance(wait)
        recent.append(backoff.recovering)
    assert recent == [False, True, False]
