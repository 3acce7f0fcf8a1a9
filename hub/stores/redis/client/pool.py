"""A few connections to the primary, made when they are needed and thrown away at the first trouble."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio.connection import AbstractConnection

from hub.stores.redis.client.connection import connect
from hub.stores.redis.client.topology import primary_of
from hub.stores.redis.client.url import Address

AT_ONCE: Final = 16


class Connections:
    """A pool. Each connection has one call at a time; who waits for one is served in turn."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._primary = primary_of(address)
        self._free = asyncio.Semaphore(AT_ONCE)
        self._idle: list[AbstractConnection] = []
        self._generation = 0

    @asynccontextmanager
    async def use(self) -> AsyncIterator[AbstractConnection]:
        """An open connection. After an error or a cancellation in the block it is not used again, since an answer may
        still be on its way. Raises `RedisError` or `OSError` when none can be had."""
        async with self._free:
            generation = self._generation
            connection = await self._open()
            clean = False
            try:
                yield connection
                clean = True
            finally:
                if clean and generation == self._generation:
                    self._idle.append(connection)
                else:
                    await connection.disconnect(nowait=True)

    async def open(self) -> AbstractConnection:
        """A connection of the caller's own, who closes it; for reads that block."""
        return await connect(self._address, await self._primary.find(), dict(self._address.options))

    async def forget(self) -> None:
        """Use none of the present connections again: the primary is lost, or is another node."""
        self._generation += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)

    close = forget

    async def _open(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.pop()
            # What can be read from a connection at rest is that the server closed it.
            if connection.is_connected and not await connection.can_read():
                return connection
            await connection.disconnect(nowait=True)
        return await self.open()
