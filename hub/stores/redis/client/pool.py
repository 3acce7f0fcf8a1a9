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
"""Calls of a kind are gathered, so few are under way at once; the server runs them one by one in any case."""


class Connections:
    """A pool. Each connection carries one call at a time; calls that wait for a connection get it in their order."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._primary = primary_of(address)
        self._free = asyncio.Semaphore(AT_ONCE)
        self._idle: list[AbstractConnection] = []
        # Raised by `forget`: a connection of an earlier generation that is in use then is closed when it comes back.
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
        """A connection outside of the pool, for reads that block. The caller closes it."""
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
            # An idle connection has something to read only when the server has closed it.
            if connection.is_connected and not await connection.can_read():
                return connection
            await connection.disconnect(nowait=True)
        return await self.open()
