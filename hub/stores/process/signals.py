"""Signals where there is no other process to hear from."""

import asyncio

from hub.stores.base import Signal, Signals


class ProcessSignals(Signals):
    """Says nothing: what this process does it tells its own parts directly."""

    async def next(self) -> Signal:
        never: asyncio.Future[Signal] = asyncio.get_running_loop().create_future()
        return await never
