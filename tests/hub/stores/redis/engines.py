"""Calls to the servers of tests, without a store around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hub.clock import Clock
from hub.stores.redis import open_engine
from hub.stores.redis.client.engine import Engine
from hub.testing.clock import ManualClock


@asynccontextmanager
async def engine_on(url: str, clock: Clock | None = None) -> AsyncIterator[Engine]:
    async with open_engine(url, clock or ManualClock()) as engine:
        yield engine
