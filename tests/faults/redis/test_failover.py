"""Drill F20: the primary dies while its replica lags behind, and the replica takes its place."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import Drill
from tests.faults.patience import until
from tests.faults.toxic_proxy import ToxicProxy
from tests.redis_servers import REDIS_7, VALKEY, RedisServer, Sentinels

LAG_SECONDS = 1.5
FAILOVER_SECONDS = 35.0
"""Sentinels that voted for different leaders wait, and vote again."""
HEAL_SECONDS = PATIENCE_SECONDS


@pytest.fixture
def replica(store: str, server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A running server that replicates nothing yet."""
    with RedisServer({"valkey": VALKEY, "redis7": REDIS_7}[store], tmp_path / "replica") as replica:
        yield replica


async def lag_and_fail_over(drill: Drill, proxy: ToxicProxy, replica: RedisServer) -> float:
    """Publish 50 events a second; let the replica lag, kill the primary, and put the replica in its place. Gives when
    that was, by CLOCK_MONOTONIC."""
    primary = drill.server
    assert primary is not None
    async with ToxicProxy(primary.port) as link:
        await asyncio.to_thread(replica.replicate, primary, port=link.port)
        drill.hub.settings["store_url"] = primary.url(port=proxy.port)
        await drill.hub.start()
        await drill.subscribe("steady")
        done = asyncio.Event()
        publishing = asyncio.create_task(drill.publisher.publish_at(50, done))
        await asyncio.sleep(1)
        link.stall()
        await asyncio.sleep(LAG_SECONDS)
        await asyncio.to_thread(primary.kill)
        link.cut()
        replica.ask("REPLICAOF", "NO", "ONE")
        failed_over_at = time.monotonic()
        proxy.target = replica.port
        drill.server = replica
        # A primary without a replica satisfies nobody who waits for one: the operator makes a new one.
        await asyncio.to_thread(primary.start)
        await asyncio.to_thread(primary.replicate, replica)
        await asyncio.sleep(1)
        done.set()
        await publishing
    return failed_over_at


@pytest.mark.drill
async def test_f20_nothing_that_was_accepted_is_lost_when_a_lagging_replica_takes_over(
    drill: Drill, proxy: ToxicProxy, replica: RedisServer
) -> None:
    """Red when an answer does not wait for the replica (`WAIT`), or its verdict is not looked at."""
    drill.hub.settings |= {"redis_wait_replicas": "1", "redis_wait_timeout": "0.5"}
    failed_over_at = await lag_and_fail_over(drill, proxy, replica)
    verdict = await drill.verdict("F20", remembered_since=failed_over_at)
    assert verdict.passed, verdict
    assert 503 in drill.publisher.refusals
    assert verdict.acked > 50


@pytest.fixture
def sentinels(store: str, server: RedisServer, replica: RedisServer, tmp_path: Path) -> Iterator[Sentinels]:
    """Sentinels that watch the server and its replica."""
    replica.replicate(server)
    with Sentinels({"valkey": VALKEY, "redis7": REDIS_7}[store], tmp_path / "sentinels", server) as sentinels:
        yield sentinels


@pytest.mark.drill
async def test_f20_sentinels_put_a_replica_in_the_place_of_a_dead_primary(
    drill: Drill, replica: RedisServer, sentinels: Sentinels
) -> None:
    """Red when the store keeps to the address of the primary that it found first."""
    assert drill.server is not None
    drill.hub.settings["store_url"] = sentinels.url()
    await drill.hub.start()
    await drill.subscribe("steady")
    done = asyncio.Event()
    publishing = asyncio.create_task(drill.publisher.publish_at(50, done))
    await asyncio.sleep(1)
    await asyncio.to_thread(drill.server.kill)

    async def failed_over() -> bool:
        return await asyncio.to_thread(sentinels.master_port) == replica.port

    await until(failed_over, FAILOVER_SECONDS)
    failed_over_at = time.monotonic()
    await asyncio.sleep(1)
    done.set()
    await asyncio.wait_for(publishing, HEAL_SECONDS)
    drill.server = replica
    verdict = await drill.verdict("F20-sentinel", remembered_since=failed_over_at)
    assert verdict.passed, verdict
