"""Numbers over more than is shown."""

from datetime import timedelta

from hub.models import Outcome, Status
from hub.stores import open_store
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import TENANT, claim, publish, result
from tests.redis_servers import RedisServer


async def test_the_newest_failures_of_all_channels_are_shown_newest_first(valkey: RedisServer) -> None:
    clock = ManualClock()
    async with open_store(valkey.url(), clock) as store:
        failed = []
        for n in range(25):
            await publish(store, "sub_1", channel=("webhook", "slack")[n % 2])
            (claimed,) = await claim(store)
            dead = result(claimed, Status.DEAD, Outcome.FAILED)
            assert dead.attempt is not None
            long = dead.attempt.model_copy(update={"error": "x" * 100 * (n % 3), "duration_ms": None})
            object.__setattr__(dead, "attempt", long)
            await store.queue.finish([dead])
            failed.append((clock.now(), claimed.delivery.id, "x" * 100 * (n % 3)))
            clock.advance(1)
        numbers = await store.archive.stats(TENANT, START + timedelta(seconds=1), None)
    assert [(one.at, one.delivery_id, one.error) for one in numbers.recent_failures] == failed[:4:-1]
    assert numbers.total.failed_attempts == 24
    assert numbers.total.latency_ms == {}, "nobody knows how long these took"
