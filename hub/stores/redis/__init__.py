"""The store for more than one machine: one Redis, Valkey, or slot of a Cluster; Lua for each atomic step."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import token_hex

from hub.clock import Clock
from hub.stores.base import Store
from hub.stores.options import StoreOptions
from hub.stores.redis.archive import RedisArchive
from hub.stores.redis.changes import RedisEventChanges
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.url import read_address
from hub.stores.redis.clock import RedisClock
from hub.stores.redis.coordination import RedisLeases, RedisReports, RedisSchedules, RedisTickets, open_signals
from hub.stores.redis.feed import open_feed
from hub.stores.redis.intake import RedisIntake
from hub.stores.redis.queue import RedisQueue
from hub.stores.redis.records import RedisRecords
from hub.stores.redis.safety.format_mark import mark_format
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.redis.safety.server_check import ensure_usable
from hub.stores.redis.tasks import RedisTasks
from hub.stores.redis.transfer import RedisTransfer
from hub.stores.redis.upkeep import RedisUpkeep
from hub.stores.unreadable import Unreadable

__all__ = ["open_engine", "open_redis"]


@asynccontextmanager
async def open_engine(url: str, clock: Clock, unreadable: Unreadable | None = None) -> AsyncIterator[Engine]:
    """Calls to the server of a URL. Raises `HubError` when the URL cannot be used."""
    engine = Engine(read_address(url), clock, unreadable)
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def open_redis(url: str, clock: Clock, options: StoreOptions) -> AsyncIterator[Store]:
    """The store at a URL."""
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(url, clock, options.unreadable))
        await ensure_usable(engine, options.wait_replicas)
        await mark_format(engine)
        # New at each start, because the numbers of calls begin at 1 again: see lua/lib/calls.lua.
        process = token_hex(8)
        losses = LossDetection(engine)
        await losses.begin()
        feed = await stack.enter_async_context(open_feed(engine))
        signals = await stack.enter_async_context(open_signals(engine))
        intake = RedisIntake(engine, losses, process, options)
        stack.push_async_callback(intake.close)
        queue = RedisQueue(engine, losses, process, options.random, options.failpoint)
        stack.push_async_callback(queue.close)
        yield Store(
            shared=True,
            intake=intake,
            queue=queue,
            archive=RedisArchive(engine),
            changes=RedisEventChanges(engine),
            feed=feed,
            records=RedisRecords(engine, losses),
            tasks=RedisTasks(engine, losses),
            upkeep=RedisUpkeep(engine, losses),
            clock=RedisClock(engine),
            signals=signals,
            leases=RedisLeases(engine),
            reports=RedisReports(engine),
            tickets=RedisTickets(engine),
            schedules=RedisSchedules(engine),
            transfer=RedisTransfer(engine),
        )
