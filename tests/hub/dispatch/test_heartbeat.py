"""Claims last as long as their attempts."""

from hub.dispatch.heartbeat import Heartbeat
from hub.dispatch.store_backoff import StoreBackoff
from hub.stores.base import Claim
from tests.api_support import Api
from tests.clock import ManualClock
from tests.hub.dispatch.hanging import Gate, attempts, turn
from tests.hub.dispatch.parts import outage
from tests.receivers import Receiver

LEASE = 30.0


async def test_an_attempt_keeps_its_claim_for_as_long_as_it_takes(api: Api, under_way: Receiver, gate: Gate) -> None:
    for _ in range(20):
        api.clock.advance(LEASE / 3)
        await turn()
        assert await api.store.queue.reclaim(10) == []
    gate.opened.set()
    assert await attempts(api) == ["succeeded"]
    assert len(under_way.requests) == 1


async def test_a_beat_that_fails_is_repeated_soon(api: Api, under_way: Receiver) -> None:
    claims = list(api.dispatcher._attempter._attempts.values())
    clock, beats = ManualClock(), []
    backoff = StoreBackoff(clock)

    def counted() -> list[Claim]:
        beats.append(clock.monotonic())
        return claims

    heartbeat = Heartbeat(api.store.queue, clock, backoff, LEASE, counted)
    heartbeat.start()
    with outage(api.store):
        await clock.elapse(10)
        await turn()
        assert backoff.recovering
        beats.clear()
        await clock.elapse(5)
    assert len(set(beats)) >= 4
    claims.clear()
    await clock.elapse(1)
    await heartbeat.stop()
