"""Drills F14 and F15: an answer of Redis is lost on its way, and with it the knowledge of what was done."""

from collections import Counter

from hub.stores.redis.client.scripts import Script
from hub.stores.redis.intake import _ACCEPT
from hub.stores.redis.queue import _CLAIM, _FINISH
from hub.testing.patience import PATIENCE_SECONDS, soon
from tests.faults.drill import Drill
from tests.faults.listeners import listening
from tests.faults.toxic_proxy import ToxicProxy

LONG_LEASE = "30"
"""Much longer than the drills take, so that nothing of what they see is owed to the end of a lease."""


async def start_behind(proxy: ToxicProxy, drill: Drill) -> None:
    """Start a hub that reaches its server through a proxy, and let it do everything once."""
    assert drill.server is not None
    drill.hub.settings |= {"store_url": drill.server.url(port=proxy.port), "lease": LONG_LEASE}
    await drill.hub.start()
    await drill.subscribe("ok")
    await drill.publisher.publish_many(10)
    await drill.drained(PATIENCE_SECONDS)


async def lose_answer(drill: Drill, proxy: ToxicProxy, script: Script, name: str) -> None:
    """Publish one event, of which the answer to one call of this script is lost."""
    await start_behind(proxy, drill)
    proxy.lose_answer(script.digest.encode())
    await drill.publisher.publish()
    await soon(proxy.lost.wait())
    verdict = await drill.verdict(name, drain_within=PATIENCE_SECONDS)
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (11, 0)
    async with drill.hub.client() as api:
        assert len((await api.get("/v1/events")).json()["items"]) == 11
    async with listening(drill.hub, 1, last_event_id="earliest") as (listener,):
        await listener.told(3 * 11)
        await listener.quiet()
    told = Counter(name for _, name in listener.events)
    assert (told["event.accepted"], told["delivery.delivered"]) == (11, 11)
    assert [acked.tries for acked in drill.publisher.acked] == [1] * 11


async def test_f14_a_claim_whose_answer_was_lost_is_given_again_at_once(drill: Drill, proxy: ToxicProxy) -> None:
    """Red when what was claimed and never heard of waits for the end of its lease."""
    await lose_answer(drill, proxy, _CLAIM, "F14")


async def test_f14_a_result_whose_answer_was_lost_is_written_once(drill: Drill, proxy: ToxicProxy) -> None:
    """Red when a repeated write is neither known again nor fenced off: what was delivered would be told twice."""
    await lose_answer(drill, proxy, _FINISH, "F14-result")


async def test_f15_a_publish_whose_answer_was_lost_makes_one_event(drill: Drill, proxy: ToxicProxy) -> None:
    """Red when a repeated write publishes again, or is refused because the event exists. Without a key of the client,
    which would cover that up."""
    drill.publisher.keyed = False
    await lose_answer(drill, proxy, _ACCEPT, "F15")
