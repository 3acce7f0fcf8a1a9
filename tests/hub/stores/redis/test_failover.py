"""The hub follows its primary: through Sentinel, and through a Cluster that moves its slot."""

import asyncio
from pathlib import Path

import pytest
from redis.crc import key_slot

from hub.errors import Unavailable
from hub.stores import open_store
from hub.stores.base import EventQuery, Page, Store
from hub.testing.clock import ManualClock
from hub.testing.patience import patience
from hub.testing.stores.samples import SUBSCRIPTION, TENANT, batch, claim, entry, event, publish
from tests.redis_servers import (
    VALKEY,
    RedisCluster,
    RedisServer,
    Sentinel,
    Sentinels,
    new_prefix,
    sentinel_url,
    wait_until,
)


def _offset(server: RedisServer, role: str) -> int:
    """How much of what was written it has."""
    return int(server.info("replication")[f"{role}_repl_offset"])


async def publish_at_last(store: Store) -> None:
    """Publish, again while the store is away."""
    new = event()
    async with patience():
        while True:
            try:
                await store.intake.accept(batch(entry(new, [SUBSCRIPTION])))
                return
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_after_a_failover_the_new_primary_is_used_without_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    with (
        RedisServer(VALKEY, tmp_path / "primary") as primary,
        RedisServer(VALKEY, tmp_path / "replica") as replica,
    ):
        replica.replicate(primary)
        with Sentinels(VALKEY, tmp_path / "sentinels", primary) as sentinels:
            async with open_store(sentinels.url(), clock) as store:
                await publish(store, SUBSCRIPTION)
                await asyncio.to_thread(wait_until, lambda: _offset(replica, "slave") >= _offset(primary, "master"))
                primary.kill()
                await publish_at_last(store)
                assert await asyncio.to_thread(sentinels.master_port) == replica.port
                assert len(await claim(store)) == 2
                assert len((await store.archive.events(TENANT, EventQuery(), Page())).items) == 2


async def test_a_sentinel_that_still_names_the_old_primary_is_passed_over(tmp_path: Path, clock: ManualClock) -> None:
    with (
        RedisServer(VALKEY, tmp_path / "old") as old,
        RedisServer(VALKEY, tmp_path / "new") as new,
        Sentinel(VALKEY, tmp_path / "stale", old) as stale,
    ):
        prefix = new_prefix()
        async with open_store(sentinel_url([stale], prefix), clock) as store:
            await publish(store, SUBSCRIPTION)
        new.replicate(old)
        new.ask("REPLICAOF", "NO", "ONE")
        old.replicate(new)
        with Sentinel(VALKEY, tmp_path / "fresh", new) as fresh:
            async with open_store(sentinel_url([stale, fresh], prefix), clock) as store:
                await publish(store, SUBSCRIPTION)
                assert len(await claim(store)) == 2
            with pytest.raises(Unavailable, match="not the primary"):
                async with open_store(sentinel_url([stale], prefix), clock):
                    raise AssertionError("opened on a replica")


async def test_a_slot_that_moves_to_another_node_is_followed(cluster: RedisCluster, clock: ManualClock) -> None:
    prefix = new_prefix()
    slot = key_slot(f"{{{prefix}}}".encode())
    async with open_store(cluster.url(prefix), clock) as store:
        await publish(store, SUBSCRIPTION)
        (source,) = [node for node in cluster.nodes if node.kept(prefix)]
        target = next(node for node in cluster.nodes if node is not source)
        id_ = target.ask("CLUSTER", "MYID").decode()
        source.ask("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", id_)
        while source.ask("CLUSTER", "COUNTKEYSINSLOT", slot):
            await publish_at_last(store)
        await publish_at_last(store)
        assert target.kept(prefix)
        published = len((await store.archive.events(TENANT, EventQuery(), Page(200))).items)
        assert len(await claim(store, limit=1000)) == published >= 2


async def test_while_a_slot_is_half_moved_nothing_is_written_to_either_node(
    cluster: RedisCluster, clock: ManualClock
) -> None:
    prefix = new_prefix()
    slot = key_slot(f"{{{prefix}}}".encode())
    async with open_store(cluster.url(prefix), clock) as store:
        await publish(store, SUBSCRIPTION)
        (source,) = [node for node in cluster.nodes if node.kept(prefix)]
        target = next(node for node in cluster.nodes if node is not source)
        ids = {node: node.ask("CLUSTER", "MYID").decode() for node in cluster.nodes}
        before = source.kept(prefix)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        store.queue._engine.patience_seconds = 0.3  # type: ignore[attr-defined] # internals
        with pytest.raises(Unavailable, match="moving"):
            await publish(store, SUBSCRIPTION)
        assert source.kept(prefix) == before
        assert target.kept(prefix) == {}
        for node in cluster.nodes:
            node.ask("CLUSTER", "SETSLOT", slot, "STABLE")
        await publish_at_last(store)
        assert len(await claim(store)) == 2
