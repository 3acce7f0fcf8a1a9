"""Calls to the servers of tests, without a store around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from hub.clock import Clock
from hub.stores.redis import open_engine
from hub.stores.redis.addresses import Kind
from hub.stores.redis.engine import Engine
from tests.clock import ManualClock


@asynccontextmanager
async def engine_on(url: str, clock: Clock | None = None) -> AsyncIterator[Engine]:
    scheme, _, address = url.partition("://")
    async with open_engine(cast("Kind", scheme), address, clock or ManualClock()) as engine:
        yield engine
