"""One clock decides for all processes: the server's, or the one that a test moves."""

from datetime import datetime, timedelta

import pytest

from hub.clock import SystemClock
from hub.models import Status
from hub.stores import open_store
from hub.stores.base import WriteOutcome
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.scripts import SCRIPTS
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import claim, publish, result
from tests.hub.stores.redis.engines import engine_on
from tests.redis_servers import RedisServer

NOW = SCRIPTS.build("now", "-- needs: clock\nreturn clock.now")
HOUR_MS = 3_600_000


class Wrong(SystemClock):
    """A machine's clock that is off."""

    def __init__(self, hours: float) -> None:
        self._off = timedelta(hours=hours)

    def now(self) -> datetime:
        return super().now() + self._off


async def apart_ms(engine: Engine) -> int:
    """How far the scripts' time is ahead of the server's."""
    seconds, microseconds = await engine.ask("TIME")
    now: int = await engine.run(NOW)
    return now - int(seconds) * 1000 - int(microseconds) // 1000


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_machine_whose_clock_is_wrong_takes_nothing_from_others_and_delays_nothing(
    valkey: RedisServer, prefix: str, hours: float
) -> None:
    right, wrong = SystemClock(), Wrong(hours)
    url = valkey.url(prefix)
    async with open_store(url, right) as store, open_store(url, wrong) as other:
        await publish(store, "sub_1", accepted_at=right.now())
        (under_way,) = await claim(store, "sub_1")
        assert await other.queue.reclaim(100) == []
        assert await store.queue.finish([result(under_way, Status.DELIVERED)]) == [WriteOutcome.RECORDED]
        await publish(other, "sub_2", accepted_at=wrong.now())
        assert len(await claim(store, "sub_2")) == 1
        assert await store.leases.acquire("scheduler", "one", 10.0) is not None
        assert await other.leases.acquire("scheduler", "other", 10.0) is None


async def test_scripts_go_by_the_servers_time(valkey: RedisServer) -> None:
    async with engine_on(valkey.url(), Wrong(hours=5)) as engine:
        assert 0 <= await apart_ms(engine) < HOUR_MS


async def test_a_key_moves_time_for_all(valkey: RedisServer) -> None:
    async with engine_on(valkey.url(), SystemClock()) as engine:
        valkey.ask("HSET", f"{engine.prefix}:clock", "offset", -2 * HOUR_MS)
        assert -2 * HOUR_MS <= await apart_ms(engine) < -HOUR_MS
        valkey.ask("HSET", f"{engine.prefix}:clock", "at", 1_000)
        assert await engine.run(NOW) == 1_000


async def test_under_a_clock_that_is_moved_by_hand_time_stands_still(valkey: RedisServer) -> None:
    clock = ManualClock()
    async with engine_on(valkey.url(), clock) as engine:
        for _ in range(2):
            assert await engine.run(NOW) == START.timestamp() * 1000
        valkey.ask("DEL", f"{engine.prefix}:clock")
        clock.advance(1.5)
        assert await engine.run(NOW) == START.timestamp() * 1000 + 1_500
